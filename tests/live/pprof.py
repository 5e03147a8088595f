# SPDX-License-Identifier: BSD-2-Clause
"""Reads pprof profiles (gzip of perftools.profiles.Profile), as far as the tests ask."""

import collections
import gzip


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """Yields (number, value): an int, or bytes of what has a length."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        value, at = varint(data, at)
        if tag & 7 == 2:
            value, at = data[at : at + value], at + value
        elif tag & 7:
            raise ValueError(f"wire type {tag & 7}")
        yield tag >> 3, value


def message(data):
    """number -> values of one message, in their order."""
    parts = collections.defaultdict(list)
    for number, value in fields(data):
        parts[number].append(value)
    return parts


Sample = collections.namedtuple("Sample", "functions values labels")


class Profile:
    """samples, each with its functions leaf first, its four values and its labels."""

    def __init__(self, packed):
        parts = message(gzip.decompress(packed))
        self.strings = [text.decode() for text in parts[6]]
        functions = {f[1][0]: self.strings[f[2][0]] for f in map(message, parts[5])}
        locations = {
            where[1][0]: [functions[message(line)[1][0]] for line in where[4]]
            for where in map(message, parts[4])
        }
        self.samples = []
        for sample in map(message, parts[2]):
            labels = {}
            for label in map(message, sample[3]):
                text = label[2] and self.strings[label[2][0]]
                labels[self.strings[label[1][0]]] = text or label[3][0]
            names = [name for where in sample[1] for name in locations[where]]
            self.samples.append(Sample(names, sample[2], labels))
        self.comments = [self.strings[i] for i in parts[13]]
