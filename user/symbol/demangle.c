// SPDX-License-Identifier: BSD-2-Clause
#include "symbol/demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#undef ARRAY_SIZE /* libiberty's own */
#include "base/cleanup.h"
#include "base/strings.h"

/* What compilers append to the symbols of the pieces and copies they make of one function. */
static const char *const clone_suffixes[] = {
	".cold",  ".part.",	 ".isra.",  ".constprop.", ".lto_priv.",
	".llvm.", ".localalias", ".clone.", ".__uniq.",	   ".warm",
};

/* Demangled text arrives in pieces. A mangled name of n bytes can describe a text of 2^n bytes by
 * back references, and libiberty's callbacks cannot stop it, so the sink leaves by longjmp once it
 * is full. The demanglers with a callback keep their state on the stack (but for a few bytes of
 * Rust punycode), so nothing leaks. */
struct sink {
	jmp_buf full;
	size_t n;
	char text[NAME_MAX_BYTES + 1];
};

static void sink_put(const char *piece, size_t n, void *opaque)
{
	struct sink *sink = opaque;
	size_t room = NAME_MAX_BYTES - sink->n;

	if (n) /* an empty piece may be NULL */
		memcpy(sink->text + sink->n, piece, n < room ? n : room);
	if (n > room) {
		strcpy(sink->text + NAME_MAX_BYTES - 3, "...");
		longjmp(sink->full, 1);
	}
	sink->n += n;
	sink->text[sink->n] = '\0';
}

static bool demangle_to_sink(const char *symbol, struct sink *sink)
{
	sink->n = 0;
	sink->text[0] = '\0';
	if (setjmp(sink->full))
		return true;
	if (rust_demangle_callback(symbol, DMGL_NO_OPTS, sink_put, sink) && sink->text[0])
		return true;
	sink->n = 0;
	sink->text[0] = '\0';
	if (symbol[1] == 'R')
		return false;
	return cplus_demangle_v3_callback(symbol, DMGL_NO_OPTS, sink_put, sink) && sink->text[0];
}

/* "foo.bar!(int).baz(char)" to "foo.bar!(int).baz": libiberty's D names always carry their
 * parameters. */
static void drop_d_parameters(char *text)
{
	size_t n = strlen(text), depth = 0;

	if (!n || text[n - 1] != ')')
		return;
	for (size_t i = n; i-- > 1;) {
		depth += text[i] == ')';
		depth -= text[i] == '(';
		if (depth)
			continue;
		if (text[i - 1] != '!')
			text[i] = '\0';
		return;
	}
}

/* D's demangler has no callback. Each back reference can at worst multiply the text, so their
 * number is bounded: 3^(32/3) copies, some 100,000, of at most NAME_MAX_BYTES. */
static char *demangle_d(const char *symbol)
{
	unsigned n_references = 0;
	char *text;

	for (const char *p = symbol; *p; p++)
		n_references += *p == 'Q';
	if (n_references > 32)
		return NULL;
	text = dlang_demangle(symbol, DMGL_NO_OPTS);
	if (text)
		drop_d_parameters(text);
	return text;
}

static bool is_d(const char *symbol)
{
	return symbol[0] == '_' && symbol[1] == 'D' && symbol[2] >= '0' && symbol[2] <= '9';
}

static bool is_itanium_or_rust(const char *symbol)
{
	return !strncmp(symbol, "_Z", 2) || !strncmp(symbol, "_R", 2) ||
	       !strncmp(symbol, "_GLOBAL__", 9);
}

bool demangle_applies(const char *symbol)
{
	return is_itanium_or_rust(symbol) || is_d(symbol);
}

/* Length of symbol up to its first clone suffix or version. */
static size_t stem_length(const char *symbol)
{
	const char *dot = symbol;
	size_t n = strlen(symbol);
	const char *at = n > 1 ? strchr(symbol + 1, '@') : NULL;

	if (at)
		n = at - symbol;
	while ((dot = strchr(dot + 1, '.')) && dot < symbol + n)
		for (size_t i = 0; i < ARRAY_SIZE(clone_suffixes); i++)
			if (!strncmp(dot, clone_suffixes[i], strlen(clone_suffixes[i])))
				return dot - symbol;
	return n;
}

const char *demangle_intern(struct strings *pool, const char *symbol)
{
	char stem[NAME_MAX_BYTES + 1];
	struct sink sink;
	size_t n;

	if (!symbol || !*symbol)
		return NULL;
	n = stem_length(symbol);
	if (n > NAME_MAX_BYTES)
		return printable_intern(pool, symbol, NAME_MAX_BYTES);
	memcpy(stem, symbol, n);
	stem[n] = '\0';
	if (is_itanium_or_rust(stem) && demangle_to_sink(stem, &sink))
		return printable_intern(pool, sink.text, NAME_MAX_BYTES);
	if (is_d(stem)) {
		_cleanup_free_ char *text = demangle_d(stem);

		if (text)
			return printable_intern(pool, text, NAME_MAX_BYTES);
	}
	return printable_intern(pool, stem, NAME_MAX_BYTES);
}

/* Bytes of the UTF-8 character at p, or 0 when it is malformed, overlong, a surrogate or a C0 or C1
 * control (which a terminal might obey). Reads no further than the terminating NUL. */
static unsigned utf8_length(const unsigned char *p)
{
	static const uint32_t lowest[] = {0, 0, 0xa0, 0x800, 0x10000};
	unsigned n = p[0] < 0x80   ? 1
		     : p[0] < 0xc2 ? 0
		     : p[0] < 0xe0 ? 2
		     : p[0] < 0xf0 ? 3
		     : p[0] < 0xf5 ? 4
				   : 0;
	uint32_t code = n > 1 ? p[0] & (0x7f >> n) : p[0];

	if (n == 1)
		return code >= 0x20 && code != 0x7f;
	for (unsigned i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	return n && code >= lowest[n] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? n
											      : 0;
}

const char *printable_intern(struct strings *pool, const char *text, unsigned max_bytes)
{
	_cleanup_free_ char *clean = NULL;
	size_t n_text, n = 0;
	bool cut;

	if (!text || !*text)
		return NULL;
	n_text = strnlen(text, (size_t)max_bytes + 1);
	cut = n_text > max_bytes;
	clean = malloc(max_bytes + 1);
	if (!clean)
		return NULL;
	while (*text) {
		unsigned length = utf8_length((const unsigned char *)text);

		if (n + (length ? length : 1) > max_bytes - (cut ? 3 : 0))
			break;
		if (length)
			memcpy(clean + n, text, length);
		else
			clean[n] = '?';
		n += length ? length : 1;
		text += length ? length : 1;
	}
	if (cut)
		memcpy(clean + n, "...", 3);
	return strings_intern_n(pool, clean, n + (cut ? 3 : 0));
}
