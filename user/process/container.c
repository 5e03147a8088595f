// SPDX-License-Identifier: BSD-2-Clause
/* Where each runtime writes what, read in their sources:
 * Docker: moby container/container.go (configFileName, struct Container); the kubelet's labels in
 *   Config.Labels are Kubernetes' pkg/kubelet/types/labels.go.
 * containerd: the bundle of the v2 runtime holds the OCI config.json, whose annotations are
 *   pkg/cri/annotations/annotations.go for Kubernetes and nerdctl's pkg/labels/labels.go.
 * CRI-O: annotations of the OCI config.json with the kubelet's labels among them, and its own in
 *   pkg/annotations/internal.go.
 * Podman: containers/storage containers.go (struct Container, containers.json and
 *   volatile-containers.json, which is that of `--rm`). */
#include "process/container.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/strings.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)
#define MAX_KNOWN 1024
#define ID_DIGITS 64
/* containerd's namespaces: k8s.io, moby, default. */
#define MAX_NAMESPACES 64

struct known {
	char id[ID_DIGITS + 1];
	struct container_names names;
};

static const char *const tasks[] = {
	"/run/containerd/io.containerd.runtime.v2.task",
	"/run/k3s/containerd/io.containerd.runtime.v2.task",
};

/* The state of a running container, then the store of all, of CRI-O and Podman. */
static const char *const storages[] = {
	"/run/containers/storage/overlay-containers",
	"/var/lib/containers/storage/overlay-containers",
};

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

static void cleanup_closedir(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

/* The parsed file, or NULL. Never waits for a pipe that someone put there. */
static json_t *load(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	size_t n = 0;
	struct stat st;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    (size_t)st.st_size > FILE_MAX_BYTES)
		return NULL;
	text = malloc(st.st_size);
	while (text && n < (size_t)st.st_size && (got = read(fd, text + n, st.st_size - n)) > 0)
		n += got;
	return text ? json_loadb(text, n, 0, NULL) : NULL;
}

/* Copies value, unless it is no string or out has one already. */
static void take_value(const json_t *value, char out[CONTAINER_NAME_SIZE])
{
	const char *text = json_string_value(value);
	size_t n = text ? strlen(text) : 0;

	if (!n || out[0])
		return;
	if (n >= CONTAINER_NAME_SIZE)
		for (n = CONTAINER_NAME_SIZE - 1; n && (text[n] & 0xc0) == 0x80;)
			n--; /* whole UTF-8 characters */
	memcpy(out, text, n);
	out[n] = '\0';
}

static void take(const json_t *object, const char *key, char out[CONTAINER_NAME_SIZE])
{
	take_value(json_object_get(object, key), out);
}

/* The kubelet's own labels, which Docker and CRI-O keep as they are. */
static void take_kubelet(const json_t *labels, struct container_names *names)
{
	take(labels, "io.kubernetes.container.name", names->name);
	take(labels, "io.kubernetes.pod.name", names->pod);
	take(labels, "io.kubernetes.pod.namespace", names->namespace_);
}

static bool found(const struct container_names *names)
{
	return names->name[0] || names->pod[0];
}

static void ask_docker(const char *root, const char *id, struct container_names *names)
{
	_cleanup_(cleanup_json) json_t *file = NULL;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/var/lib/docker/containers/%s/config.v2.json", root, id);
	file = load(path);
	if (!file)
		return;
	take_kubelet(json_object_get(json_object_get(file, "Config"), "Labels"), names);
	take(file, "Name", names->name);
	/* Docker's begin with a slash. */
	if (names->name[0] == '/')
		memmove(names->name, names->name + 1, strlen(names->name));
}

/* The annotations of an OCI bundle, whoever made it. */
static void ask_bundle(const char *path, struct container_names *names)
{
	_cleanup_(cleanup_json) json_t *file = load(path);
	const json_t *annotations = json_object_get(file, "annotations");

	take(annotations, "io.kubernetes.cri.container-name", names->name);
	take(annotations, "io.kubernetes.cri.sandbox-name", names->pod);
	take(annotations, "io.kubernetes.cri.sandbox-namespace", names->namespace_);
	take_kubelet(annotations, names);
	take(annotations, "io.kubernetes.cri-o.KubeName", names->pod);
	take(annotations, "io.kubernetes.cri-o.Namespace", names->namespace_);
	take(annotations, "nerdctl/name", names->name);
}

static void ask_containerd(const char *root, const char *directory, const char *id,
			   struct container_names *names)
{
	_cleanup_(cleanup_closedir) DIR *namespaces = NULL;
	char path[PATH_MAX];
	struct dirent *entry;

	snprintf(path, sizeof(path), "%s%s", root, directory);
	namespaces = opendir(path);
	for (int n = 0; namespaces && n < MAX_NAMESPACES && !found(names); n++) {
		int length;

		entry = readdir(namespaces);
		if (!entry)
			return;
		length = snprintf(path, sizeof(path), "%s%s/%s/%s/config.json", root, directory,
				  entry->d_name, id);
		if (entry->d_name[0] != '.' && length < (int)sizeof(path))
			ask_bundle(path, names);
	}
}

/* [{"id": ..., "names": [...]}, ...] */
static void ask_storage(const char *path, const char *id, struct container_names *names)
{
	_cleanup_(cleanup_json) json_t *file = load(path);

	for (size_t i = 0; i < json_array_size(file); i++) {
		const json_t *container = json_array_get(file, i);
		const char *its_id = json_string_value(json_object_get(container, "id"));

		if (!its_id || strcmp(its_id, id))
			continue;
		take_value(json_array_get(json_object_get(container, "names"), 0), names->name);
		return;
	}
}

static void ask_storages(const char *root, const char *id, struct container_names *names)
{
	static const char *const lists[] = {"containers.json", "volatile-containers.json"};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(storages) && !found(names); i++) {
		snprintf(path, sizeof(path), "%s%s/%s/userdata/config.json", root, storages[i], id);
		ask_bundle(path, names);
	}
	for (size_t i = 0; i < ARRAY_SIZE(storages) * ARRAY_SIZE(lists) && !found(names); i++) {
		snprintf(path, sizeof(path), "%s%s/%s", root, storages[i / ARRAY_SIZE(lists)],
			 lists[i % ARRAY_SIZE(lists)]);
		ask_storage(path, id, names);
	}
}

static void ask(const char *root, const char *id, struct container_names *names)
{
	ask_docker(root, id, names);
	for (size_t i = 0; i < ARRAY_SIZE(tasks) && !found(names); i++)
		ask_containerd(root, tasks[i], id, names);
	if (!found(names))
		ask_storages(root, id, names);
}

/* Nothing else may become part of a path. */
static bool is_id(const char *id)
{
	size_t n = 0;

	while (isxdigit((unsigned char)id[n]))
		n++;
	return n == ID_DIGITS && !id[n];
}

void containers_find(struct containers *c, const char *id, struct container_names *ret)
{
	uint64_t key = hash_bytes(0, id, strlen(id));
	struct known *known = hashmap_get(&c->by_id, key);

	*ret = (struct container_names){0};
	if (!is_id(id))
		return;
	if (known && !strcmp(known->id, id)) {
		*ret = known->names;
		return;
	}
	ask(c->root ? c->root : "", id, ret);
	/* A runtime may be about to write it. */
	if (!found(ret))
		return;
	if (c->by_id.n >= MAX_KNOWN)
		containers_done(c);
	known = calloc(1, sizeof(*known));
	if (!known)
		return;
	snprintf(known->id, sizeof(known->id), "%s", id);
	known->names = *ret;
	free(hashmap_take(&c->by_id, key));
	if (hashmap_put(&c->by_id, key, known))
		free(known);
}

/* Takes the last part off the n characters of wanted if it is name. */
static bool take_part(const char *wanted, size_t *n, const char *name)
{
	size_t n_name = strlen(name);

	if (!n_name || n_name > *n || memcmp(wanted + *n - n_name, name, n_name))
		return false;
	*n -= n_name;
	return true;
}

bool container_is_called(const struct container_names *names, const char *wanted)
{
	const char *const parts[] = {names->name, names->pod, names->namespace_};
	size_t n = strlen(wanted);

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!take_part(wanted, &n, parts[i]))
			return false;
		if (!n)
			return true;
		if (wanted[--n] != '/')
			return false;
	}
	return false;
}

void containers_done(struct containers *c)
{
	struct known *known;
	size_t cursor = 0;

	while ((known = hashmap_next(&c->by_id, &cursor, NULL)))
		free(known);
	hashmap_done(&c->by_id);
	c->by_id = (struct hashmap)HASHMAP_INIT;
}
