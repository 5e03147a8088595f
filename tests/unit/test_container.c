// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "process/container.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98"
#define STORAGE "/storage/overlay-containers/"

static char root[] = "/tmp/test_container.XXXXXX";

/* Writes text into a file below root, with all directories above it. */
static void put(const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", root, name);
	for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind;
	return ftw->level ? remove(path) : 0;
}

static int empty_root(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void expect(const char *id, const char *name, const char *pod, const char *namespace_)
{
	struct containers c = {.root = root};
	struct container_names names;

	containers_find(&c, id, &names);
	assert_string_equal(names.name, name);
	assert_string_equal(names.pod, pod);
	assert_string_equal(names.namespace_, namespace_);
	containers_done(&c);
}

static void docker(void **state)
{
	(void)state;
	put("/var/lib/docker/containers/" ID "/config.v2.json",
	    "{\"ID\":\"" ID "\",\"Config\":{\"Labels\":{\"a\":\"b\"}},\"Name\":\"/web\"}");
	expect(ID, "web", "", "");
	put("/var/lib/docker/containers/" ID2 "/config.v2.json",
	    "{\"Config\":{\"Labels\":{\"io.kubernetes.pod.name\":\"web-1\","
	    "\"io.kubernetes.pod.namespace\":\"prod\",\"io.kubernetes.container.name\":\"app\"}},"
	    "\"Name\":\"/k8s_app_web-1_prod_u_0\"}");
	expect(ID2, "app", "web-1", "prod");
}

static void containerd(void **state)
{
	(void)state;
	put("/run/containerd/io.containerd.runtime.v2.task/moby/" ID "/config.json",
	    "{\"annotations\":{}}");
	put("/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID "/config.json",
	    "{\"annotations\":{\"io.kubernetes.cri.container-name\":\"app\","
	    "\"io.kubernetes.cri.sandbox-name\":\"web-1\","
	    "\"io.kubernetes.cri.sandbox-namespace\":\"prod\"}}");
	expect(ID, "app", "web-1", "prod");
	put("/run/k3s/containerd/io.containerd.runtime.v2.task/default/" ID2 "/config.json",
	    "{\"annotations\":{\"nerdctl/name\":\"cache\",\"nerdctl/namespace\":\"default\"}}");
	expect(ID2, "cache", "", "");
}

static void crio(void **state)
{
	(void)state;
	put("/run/containers" STORAGE ID "/userdata/config.json",
	    "{\"annotations\":{\"io.kubernetes.container.name\":\"app\","
	    "\"io.kubernetes.pod.name\":\"web-1\",\"io.kubernetes.pod.namespace\":\"prod\"}}");
	expect(ID, "app", "web-1", "prod");
	put("/var/lib/containers" STORAGE ID2 "/userdata/config.json",
	    "{\"annotations\":{\"io.kubernetes.cri-o.KubeName\":\"web-2\","
	    "\"io.kubernetes.cri-o.Namespace\":\"prod\"}}");
	expect(ID2, "", "web-2", "prod");
}

static void podman(void **state)
{
	(void)state;
	put("/run/containers" STORAGE ID "/userdata/config.json", "{\"hostname\":\"0123\"}");
	put("/var/lib/containers" STORAGE "containers.json",
	    "[1,{\"id\":\"x\",\"names\":[\"no\"]},{\"id\":\"" ID
	    "\",\"names\":[\"web\",\"other\"]}]");
	put("/var/lib/containers" STORAGE "volatile-containers.json",
	    "[{\"id\":\"" ID2 "\",\"names\":[\"short\"]}]");
	expect(ID, "web", "", "");
	expect(ID2, "short", "", "");
}

static void nothing_there(void **state)
{
	(void)state;
	expect(ID, "", "", "");
	expect("", "", "", "");
	expect("web1", "", "", "");
	put("/var/lib/docker/containers/x/config.v2.json", "{\"Name\":\"/no\"}");
	expect("x", "", "", "");
	expect("../containers/x", "", "", "");
	expect(ID "0", "", "", "");
}

static void hostile(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"\"Name\"",
		"{\"Name\":7,\"Config\":[]}",
		"{\"Name\":null,\"Config\":{\"Labels\":\"x\"}}",
		"{\"Name\":\"/a\\u0000b\"}",
		"{\"Name\":\"\xff\"}",
		"{\"Name\":\"/web\"} more",
	};
	char path[256], *text;
	struct containers c = {.root = root};
	struct container_names names;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		put("/var/lib/docker/containers/" ID "/config.v2.json", texts[i]);
		expect(ID, "", "", "");
	}
	text = malloc((1 << 20) + 64);
	assert_non_null(text);
	memset(text, ' ', (1 << 20) + 64);
	strcpy(text + (1 << 20), "{\"Name\":\"/web\"}");
	put("/var/lib/docker/containers/" ID "/config.v2.json", text);
	expect(ID, "", "", "");
	strcpy(text, "{\"Name\":\"/web\"}");
	memset(text, '[', 1 << 19);
	text[1 << 19] = '\0';
	put("/var/lib/docker/containers/" ID "/config.v2.json", text);
	expect(ID, "", "", "");
	free(text);

	/* A pipe without a writer, a link to elsewhere. */
	snprintf(path, sizeof(path), "%s/var/lib/docker/containers/" ID "/config.v2.json", root);
	assert_int_equal(remove(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect(ID, "", "", "");
	assert_int_equal(remove(path), 0);
	put("/elsewhere", "{\"Name\":\"/web\"}");
	assert_int_equal(symlink("/elsewhere", path), 0);
	expect(ID, "", "", "");
	assert_int_equal(remove(path), 0);

	/* 1 + 253 + 3 bytes: cut between characters. */
	text = malloc(512);
	assert_non_null(text);
	snprintf(text, 512, "{\"Name\":\"/%0253d\xe2\x82\xac\"}", 0);
	put("/var/lib/docker/containers/" ID "/config.v2.json", text);
	free(text);
	containers_find(&c, ID, &names);
	assert_int_equal(strlen(names.name), 253);
	containers_done(&c);
}

static void called(void **state)
{
	const struct container_names app = {.name = "app", .pod = "web-1", .namespace_ = "prod"};
	const struct container_names bare = {.name = "web"}, unknown = {0};
	static const char *const yes[] = {"app", "web-1/app", "prod/web-1/app"};
	static const char *const no[] = {
		"",
		"/",
		"ap",
		"pp",
		"xapp",
		"/app",
		"app/",
		"1/app",
		"prod/app",
		"web-1",
		"prod/web-1",
		"/web-1/app",
		"x/prod/web-1/app",
		"xprod/web-1/app",
		"/prod/web-1/app",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(container_is_called(&app, yes[i]));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(container_is_called(&app, no[i]));
	assert_true(container_is_called(&bare, "web"));
	assert_false(container_is_called(&bare, "/web"));
	assert_false(container_is_called(&unknown, ""));
	assert_false(container_is_called(&unknown, "web"));
}

/* Read once, for as many containers as there is room for. */
static void remembered(void **state)
{
	struct containers c = {.root = root};
	struct container_names names;
	char id[65], path[128];

	(void)state;
	put("/var/lib/docker/containers/" ID "/config.v2.json", "{\"Name\":\"/first\"}");
	containers_find(&c, ID, &names);
	put("/var/lib/docker/containers/" ID "/config.v2.json", "{\"Name\":\"/second\"}");
	containers_find(&c, ID, &names);
	assert_string_equal(names.name, "first");
	/* What is not known leaves no trace. */
	for (int i = 0; i < 2000; i++) {
		snprintf(id, sizeof(id), "%064x", i);
		containers_find(&c, id, &names);
		assert_int_equal(c.by_id.n, 1);
	}
	for (int i = 0; i < 1024; i++) {
		snprintf(id, sizeof(id), "%064x", i);
		snprintf(path, sizeof(path), "/var/lib/docker/containers/%s/config.v2.json", id);
		put(path, "{\"Name\":\"/other\"}");
		containers_find(&c, id, &names);
		assert_string_equal(names.name, "other");
		assert_true(c.by_id.n <= 1024);
	}
	containers_find(&c, ID, &names);
	assert_string_equal(names.name, "second");
	containers_done(&c);
}

static int make_root(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	return empty_root(state) || rmdir(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(called),
		cmocka_unit_test_teardown(docker, empty_root),
		cmocka_unit_test_teardown(containerd, empty_root),
		cmocka_unit_test_teardown(crio, empty_root),
		cmocka_unit_test_teardown(podman, empty_root),
		cmocka_unit_test_teardown(nothing_there, empty_root),
		cmocka_unit_test_teardown(hostile, empty_root),
		cmocka_unit_test_teardown(remembered, empty_root),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
