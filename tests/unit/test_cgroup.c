// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "process/cgroup.h"
#include "process/host_memory.h"
#include "process/pressure.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98"

static void test_containers(void **state)
{
	static const struct {
		const char *path, *container;
	} cases[] = {
		{"/docker/" ID, ID},
		{"/system.slice/docker-" ID ".scope", ID},
		{"/docker/" ID "/system.slice/x.service", ID},
		{"/docker/" ID "/docker/" ID2 "/init.scope", ID2},
		{"/kubepods/burstable/pod7d3f2a1c-0b1e-4f6c-9a53-000000000001/" ID, ID},
		{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7d3f_1.slice/cri-containerd-" ID
		 ".scope",
		 ID},
		{"/kubepods.slice/kubepods-pod1.slice/crio-" ID ".scope", ID},
		{"/kubepods.slice/kubepods-pod1.slice/crio-conmon-" ID ".scope", ""},
		{"/system.slice/kubepods-burstable-pod1.slice:cri-containerd:" ID, ID},
		{"cri-containerd:" ID, ID},
		{"/machine.slice/libpod-" ID ".scope", ID},
		{"/machine.slice/libpod-conmon-" ID ".scope", ""},
		{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID
		 ".scope/container",
		 ID},
		{"/../" ID, ID},
		{"/lxc/web1", "web1"},
		{"/lxc/web1/system.slice/ssh.service", "web1"},
		{"/lxc.payload.web1/init.scope", "web1"},
		{"/lxc.monitor.web1", ""},
		{"/lxc", ""},
		{"/lxc/", ""},
		{"/machine.slice/machine-web\\x2d1.scope", "web-1"},
		{"/machine.slice/systemd-nspawn@web.service/payload", "web"},
		{"/system.slice/nginx.service", ""},
		{"/process_api/76aff228059bad0e69becd2f5541783e", ""},
		{"/docker/" ID "0", ""},
		{"/docker/g" ID, ""},
		{"/machine.slice/machine-.scope", ""},
		{"/machine.slice/machine-a\\x2.scope", "a\\x2"},
		{"/", ""},
		{"", ""},
		{"////", ""},
	};
	char out[CGROUP_CONTAINER_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cgroup_container(cases[i].path, out);
		assert_string_equal(out, cases[i].container);
	}
}

static void test_pods(void **state)
{
	static const char uid[] = "7d3f2a1c-0b1e-4f6c-9a53-000000000001";
	static const struct {
		const char *path, *uid, *container;
	} cases[] = {
		{"/kubepods/burstable/pod7d3f2a1c-0b1e-4f6c-9a53-000000000001/" ID, uid, ID},
		{"/kubepods/pod7d3f2a1c-0b1e-4f6c-9a53-000000000001/crio-" ID, uid, ID},
		{"/kubepods/besteffort/pod7d3f2a1c-0b1e-4f6c-9a53-000000000001", uid, ""},
		{"/kubepods.slice/kubepods-besteffort.slice/"
		 "kubepods-besteffort-pod7d3f2a1c_0b1e_4f6c_9a53_000000000001.slice/docker-" ID
		 ".scope",
		 uid, ID},
		{"/kubepods.slice/kubepods-pod7d3f2a1c_0b1e_4f6c_9a53_000000000001.slice/crio-" ID
		 ".scope/container",
		 uid, ID},
		{"/kubelet.slice/kubelet-kubepods.slice/"
		 "kubelet-kubepods-pod7d3f2a1c_0b1e_4f6c_9a53_000000000001.slice/cri-containerd-" ID
		 ".scope",
		 uid, ID},
		{"/system.slice/containerd.service/"
		 "kubepods-burstable-pod7d3f2a1c_0b1e_4f6c_9a53_000000000001.slice:cri-containerd:" ID,
		 uid, ID},
		/* a node that is a container itself (kind) */
		{"/kubepods/podouter/" ID "/kubepods/podinner/" ID2, "inner", ID2},
		/* static pods have a hash as uid */
		{"/kubepods/burstable/pod0123456789abcdef0123456789abcdef/" ID,
		 "0123456789abcdef0123456789abcdef", ID},
		{"/pod1/" ID, "", ID},
		{"/podman.slice/libpod-" ID ".scope", "", ID},
		{"/user.slice/user-1-pod2.slice", "", ""},
		{"/kubepods/pod/" ID, "", ID},
		{"/kubepods/poda.b/" ID, "", ID},
		{"/kubepods/podaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "", ""},
		{"/kubepods.slice", "", ""},
		{"", "", ""},
	};
	char out[CGROUP_POD_SIZE], container[CGROUP_CONTAINER_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cgroup_pod_uid(cases[i].path, out);
		assert_string_equal(out, cases[i].uid);
		cgroup_container(cases[i].path, container);
		assert_string_equal(container, cases[i].container);
	}
}

static void test_long_name_is_cut(void **state)
{
	char path[1024] = "/lxc/", out[CGROUP_CONTAINER_SIZE];

	(void)state;
	memset(path + 5, 'x', 1000);
	cgroup_container(path, out);
	assert_int_equal(strlen(out), CGROUP_CONTAINER_SIZE - 1);
}

static void test_versions(void **state)
{
	struct cgroup c;

	(void)state;
	cgroup_parse("0::/system.slice/a.service\n", &c);
	assert_string_equal(cgroup_path(&c), "/system.slice/a.service");
	assert_string_equal(c.memory_v1, "");

	cgroup_parse("5:cpu,cpuacct:/docker/" ID "/deeper\n4:memory:/docker/" ID
		     "\n1:name=systemd:/\n",
		     &c);
	assert_string_equal(cgroup_path(&c), "/docker/" ID);
	assert_string_equal(c.container, ID);

	/* The pod is that of the path that names the container. */
	cgroup_parse("4:memory:/kubepods/podv1/" ID "\n0::/docker/" ID2 "\n", &c);
	assert_string_equal(c.container, ID2);
	assert_string_equal(c.pod_uid, "");
	cgroup_parse("4:memory:/kubepods/podv1/" ID "\n0::/\n", &c);
	assert_string_equal(c.pod_uid, "v1");

	/* Hybrid: the v2 line says nothing here; there, it is the one that counts. */
	cgroup_parse("4:memory:/m:1\n2:cpuset:/longer/one\n0::/\n", &c);
	assert_string_equal(cgroup_path(&c), "/m:1");
	cgroup_parse("9:pids:/docker/" ID "\n4:memory:/m\n0::/lxc/v2\n", &c);
	assert_string_equal(cgroup_path(&c), "/lxc/v2");
	assert_string_equal(c.container, "v2");

	cgroup_parse("3:cpuset:/a\n2:pids:/ab\n", &c);
	assert_string_equal(cgroup_path(&c), "/ab");
	cgroup_parse("0::/\n1:cpu:/", &c);
	assert_string_equal(cgroup_path(&c), "/");
	cgroup_parse("\n:\n::\nnonsense\n4:xmemory,memoryx:/no\n", &c);
	assert_string_equal(cgroup_path(&c), "/no");
	assert_string_equal(c.memory_v1, "");
	cgroup_parse("", &c);
	assert_string_equal(cgroup_path(&c), "");
}

static void put(const char *directory, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", directory, name);
	if (!text) {
		assert_int_equal(mkdir(path, 0700), 0);
		return;
	}
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static uint64_t limit_of(const char *cgroup_text, const char *mountinfo)
{
	struct cgroup c;

	cgroup_parse(cgroup_text, &c);
	return cgroup_limit(&c, mountinfo);
}

static void test_limits(void **state)
{
	char directory[] = "/tmp/test_cgroup.XXXXXX", mountinfo[512], command[64];

	(void)state;
	assert_non_null(mkdtemp(directory));
	put(directory, "/v 2", NULL);
	put(directory, "/v 2/a", NULL);
	put(directory, "/v 2/a/b", NULL);
	put(directory, "/v 2/a/memory.max", "1000\n");
	put(directory, "/v 2/a/b/memory.max", "max\n");
	put(directory, "/v1", NULL);
	put(directory, "/v1/m", NULL);
	put(directory, "/v1/memory.limit_in_bytes", "9223372036854771712\n");
	put(directory, "/v1/m/memory.limit_in_bytes", "500\n");
	snprintf(mountinfo, sizeof(mountinfo),
		 "20 1 0:19 / /proc rw - proc proc rw\n"
		 "nonsense - cgroup2\n"
		 "31 30 0:27 / %1$s/v\\0402 rw,relatime shared:1 - cgroup2 cgroup2 rw,nsdelegate\n"
		 "32 30 0:28 /inner %1$s/v1 rw,relatime - cgroup cgroup rw,memory\n"
		 "33 30 0:29 / /nowhere rw,relatime - cgroup cgroup rw,cpu\n",
		 directory);
	assert_int_equal(limit_of("0::/a/b\n", mountinfo), 1000);
	assert_int_equal(limit_of("0::/a/gone (deleted)\n", mountinfo), 1000);
	assert_int_equal(limit_of("0::/c\n", mountinfo), 0);
	assert_int_equal(limit_of("0::/../a\n", mountinfo), 0);
	assert_int_equal(limit_of("4:memory:/inner/m\n0::/a/b\n", mountinfo), 500);
	assert_int_equal(limit_of("4:memory:/inner\n", mountinfo), 0);
	assert_int_equal(limit_of("4:memory:/innermost/m\n", mountinfo), 0);
	assert_int_equal(limit_of("4:memory:/m\n", mountinfo), 0);
	assert_int_equal(limit_of("0::/a/b\n", ""), 0);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	assert_int_equal(system(command), 0);
}

static void test_usage(void **state)
{
	char directory[] = "/tmp/test_cgroup.XXXXXX", mountinfo[512], command[64];
	struct cgroup_usage usage = {0};
	struct cgroup c;

	(void)state;
	assert_non_null(mkdtemp(directory));
	put(directory, "/v2", NULL);
	put(directory, "/v2/a", NULL);
	put(directory, "/v2/a/memory.current", "5000\n");
	put(directory, "/v2/a/memory.stat", "anon 900\nfile_mapped 1\nfile 3000\nshmem 7\n");
	put(directory, "/v1", NULL);
	put(directory, "/v1/m", NULL);
	put(directory, "/v1/m/memory.usage_in_bytes", "700\n");
	put(directory, "/v1/m/memory.stat", "cache 1\ntotal_cache 600\n");
	snprintf(mountinfo, sizeof(mountinfo),
		 "31 30 0:27 / %1$s/v2 rw - cgroup2 cgroup2 rw\n"
		 "32 30 0:28 / %1$s/v1 rw - cgroup cgroup rw,memory\n",
		 directory);
	cgroup_parse("0::/a\n", &c);
	assert_int_equal(cgroup_usage(&c, mountinfo, &usage), 0);
	assert_int_equal(usage.bytes, 5000);
	assert_int_equal(usage.cache_bytes, 3000);
	cgroup_parse("4:memory:/m\n0::/\n", &c);
	assert_int_equal(cgroup_usage(&c, mountinfo, &usage), 0);
	assert_int_equal(usage.bytes, 700);
	assert_int_equal(usage.cache_bytes, 600);
	cgroup_parse("4:memory:/\n0::/gone\n", &c);
	assert_int_equal(cgroup_usage(&c, mountinfo, &usage), -ENOENT);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	assert_int_equal(system(command), 0);
}

static void test_pressure_path(void **state)
{
	static const char mountinfo[] =
		"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
		"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
		"41 31 0:38 /pods /sys/fs/cgroup/uni\\040fied rw shared:1 - cgroup2 cgroup2 rw\n";
	static const struct {
		const char *v2, *memory_v1, *path;
	} cases[] = {
		{"/pods/a", "", "/sys/fs/cgroup/uni fied/a/memory.pressure"},
		{"/pods/a", "/b", "/sys/fs/cgroup/uni fied/a/memory.pressure"},
		{"/elsewhere/a", "", NULL},
		{"/podsy", "", NULL},
		{"/pods/../a", "", NULL},
		{"/", "/b", NULL},
		{"", "/b", NULL},
	};
	_cleanup_free_ struct cgroup *c = calloc(1, sizeof(*c));
	_cleanup_free_ char *path = malloc(CGROUP_FILE_SIZE);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		strcpy(c->v2, cases[i].v2);
		strcpy(c->memory_v1, cases[i].memory_v1);
		assert_int_equal(cgroup_pressure_path(c, mountinfo, path),
				 cases[i].path ? 0 : -ENOENT);
		if (cases[i].path)
			assert_string_equal(path, cases[i].path);
	}
	assert_int_equal(cgroup_pressure_path(c, "nonsense\n", path), -ENOENT);
}

static void test_pressure(void **state)
{
	static const struct {
		const char *text;
		double ratio; /* negative: not known */
	} cases[] = {
		{"some avg10=12.50 avg60=0.00 avg300=0.00 total=1\nfull avg10=1.00", 0.125},
		{"some avg10=0.00 avg60", 0},
		{"some avg10=100.00 avg60", 1},
		{"some avg10=101.00 avg60", -1},
		{"some avg10=", -1},
		{"some avg10=nan avg60", -1},
		{"full avg10=1.00 avg60", -1},
		{"", -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		double ratio = pressure_parse(cases[i].text);

		assert_true(cases[i].ratio < 0 ? isnan(ratio) : ratio == cases[i].ratio);
	}
	assert_true(isnan(pressure_read("/nonexistent")));
}

static void test_host_memory(void **state)
{
	struct host_memory m;

	(void)state;
	host_memory_parse("MemTotal:       24600000 kB\nMemFree: 1 kB\nMemAvailable:   20 kB\n"
			  "SwapTotal: 4 kB\nSwapFree: nonsense\nMemTotal",
			  &m);
	assert_int_equal(m.total_bytes, 24600000ULL * 1024);
	assert_int_equal(m.available_bytes, 20 * 1024);
	assert_int_equal(m.swap_bytes, 4 * 1024);
	assert_int_equal(m.swap_free_bytes, 0);
	host_memory_read(&m);
	assert_true(m.total_bytes >= m.available_bytes && m.available_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_containers),	 cmocka_unit_test(test_pods),
		cmocka_unit_test(test_long_name_is_cut), cmocka_unit_test(test_versions),
		cmocka_unit_test(test_limits),		 cmocka_unit_test(test_usage),
		cmocka_unit_test(test_pressure_path),	 cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_host_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
