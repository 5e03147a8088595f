/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_CONTAINER_H
#define SEEP_PROCESS_CONTAINER_H
/* What people call a container, from the files that its runtime keeps: no socket, no request. */
#include <stdbool.h>

#include "base/hashmap.h"

#define CONTAINER_NAME_SIZE 256

/* As the files have them, so whatever an image or a user chose: escape when printing. Longer ones
 * are cut; "" where unknown. */
struct container_names {
	char name[CONTAINER_NAME_SIZE]; /* the container's in its pod, else the runtime's */
	char pod[CONTAINER_NAME_SIZE];
	char namespace_[CONTAINER_NAME_SIZE]; /* the pod's */
};

/* Names by id, each read once it is known: up to 1024 x 1 kB, then it begins anew. root: a directory above
 * var/lib and run, NULL for the host's own; borrowed. */
struct containers {
	const char *root;
	struct hashmap by_id;
};

/* Looks for the container id in the files of Docker, containerd (Kubernetes, nerdctl, k3s), CRI-O
 * and Podman as root. Nothing but 64 hexadecimal digits is looked for: LXC and nspawn have names as
 * ids. All of ret is "" where no runtime knows the id, or its files are not ours to read, or not
 * regular, or larger than 1 MiB, or no JSON. Not thread-safe. */
void containers_find(struct containers *c, const char *id, struct container_names *ret);

/* Whether wanted is "NAME", "POD/NAME" or "NAMESPACE/POD/NAME" of it. Thread-safe. */
bool container_is_called(const struct container_names *names, const char *wanted);

void containers_done(struct containers *c);

#endif
