// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "process/container.h"
#include "process/select.h"

#define CAFE "cafecafecafecafecafecafecafecafecafecafecafecafecafecafecafecafe"
#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct identity nginx = {
	.pid = 77,
	.comm = "nginx",
	.exe = "/usr/sbin/nginx",
	.cgroup = "/docker/" ID,
	.memory_cgroup = "/kept/docker/" ID,
	.container = ID,
	.euid = 33,
};

static const struct identity longer = {
	.pid = 78,
	.comm = "a-long-program-",
	.exe = "/opt/x/a-long-program-name (deleted)",
	.cgroup = "/lxc/web1",
	.container = "web1",
	.euid = 1000,
};

static const struct identity nobody = {.pid = 5, .euid = (uid_t)-1};
static const struct identity rooted = {.pid = 6};
static const struct identity odd_container = {.pid = 7, .container = "feed0"};

static bool matches(struct selector s, const struct identity *id)
{
	struct diag d = {0};

	assert_int_equal(selector_check(&s, &d), 0);
	assert_false(selector_is_empty(&s));
	return selector_matches(&s, id);
}

#define YES(id, ...) assert_true(matches((struct selector){__VA_ARGS__}, id))
#define NO(id, ...) assert_false(matches((struct selector){__VA_ARGS__}, id))

static void test_names(void **state)
{
	(void)state;
	YES(&nginx, .comm_glob = "nginx");
	YES(&nginx, .comm_glob = "ng*");
	YES(&nginx, .comm_glob = "[mn]g?nx");
	NO(&nginx, .comm_glob = "ngin");
	NO(&nginx, .comm_glob = "NGINX");
	NO(&nginx, .comm_glob = "/usr/sbin/nginx");
	YES(&longer, .comm_glob = "a-long-program-");
	YES(&longer, .comm_glob = "a-long-program-name*");
	NO(&longer, .comm_glob = "a-long-program-nome*");

	YES(&nginx, .exe_glob = "/usr/sbin/nginx");
	YES(&nginx, .exe_glob = "/usr/*");
	YES(&nginx, .exe_glob = "nginx");
	NO(&nginx, .exe_glob = "/sbin/nginx");
	NO(&nginx, .exe_glob = "sbin");
	YES(&longer, .exe_glob = "/opt/x/a-long-program-name");
	YES(&longer, .exe_glob = "a-*-name");
	NO(&nobody, .exe_glob = "*");
}

static void test_cgroups(void **state)
{
	(void)state;
	YES(&nginx, .cgroup = "/docker");
	YES(&nginx, .cgroup = "docker/");
	YES(&nginx, .cgroup = "/docker/" ID "/");
	YES(&nginx, .cgroup = "/");
	YES(&nginx, .cgroup = "/sys/fs/cgroup");
	YES(&nginx, .cgroup = "/sys/fs/cgroup/");
	YES(&nginx, .cgroup = "/sys/fs/cgroup/docker");
	YES(&nginx, .cgroup = "/sys/fs/cgroup/memory/kept/docker/" ID);
	YES(&nginx, .cgroup = "/sys/fs/cgroup/unified/docker");
	YES(&nginx, .cgroup = "/kept");
	NO(&nginx, .cgroup = "/dock");
	NO(&nginx, .cgroup = "/docker/" ID "/x");
	NO(&nginx, .cgroup = "/memory/kept");
	NO(&nginx, .cgroup = "/sys/fs/cgroup/memoryx/kept");
	YES(&longer, .cgroup = "/lxc");
}

static void test_containers(void **state)
{
	(void)state;
	YES(&nginx, .container = "0123");
	YES(&nginx, .container = "0123456789AB");
	YES(&nginx, .container = ID);
	NO(&nginx, .container = "1234");
	NO(&nginx, .container = ID "0");
	YES(&longer, .container = "web1");
	NO(&longer, .container = "web");
	NO(&odd_container, .container = "feed");
	NO(&nobody, .container = "feed");
}

static void put_name(const char *root, const char *id, const char *name)
{
	static const char *const levels[] = {"/var", "/var/lib", "/var/lib/docker",
					     "/var/lib/docker/containers"};
	char path[512];
	FILE *f;

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		snprintf(path, sizeof(path), "%s%s", root, levels[i]);
		mkdir(path, 0700);
	}
	snprintf(path, sizeof(path), "%s%s/%s", root, levels[3], id);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s%s/%s/config.v2.json", root, levels[3], id);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "{\"Name\":\"/%s\"}", name);
	fclose(f);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

static void test_container_names(void **state)
{
	char root[] = "/tmp/test_select.XXXXXX";
	struct containers names = {.root = root};
	const struct identity cafe = {.pid = 8, .container = CAFE};

	(void)state;
	assert_non_null(mkdtemp(root));
	put_name(root, ID, "web");
	YES(&nginx, .container = "web", .names = &names);
	NO(&nginx, .container = "web");
	NO(&nginx, .container = "we", .names = &names);
	NO(&nginx, .container = "web1", .names = &names);
	NO(&longer, .container = "web", .names = &names);
	YES(&longer, .container = "web1", .names = &names);
	NO(&nobody, .container = "web", .names = &names);
	/* What no runtime knew the first time is asked again. */
	NO(&cafe, .container = "db", .names = &names);
	put_name(root, CAFE, "db");
	YES(&cafe, .container = "db", .names = &names);
	YES(&cafe, .container = "cafe", .names = &names);
	NO(&cafe, .container = "0123", .names = &names);
	assert_int_equal(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	containers_done(&names);
}

/* What could be both is one container's name, and no other's beginning. */
static void test_name_before_beginning(void **state)
{
	char root[] = "/tmp/test_select.XXXXXX";
	struct containers names = {.root = root};
	const struct identity cafe = {.pid = 8, .container = CAFE};
	struct selector s = {.container = "cafe", .names = &names, .only_named = true};

	(void)state;
	assert_non_null(mkdtemp(root));
	put_name(root, ID, "cafe");
	assert_true(selector_matches(&s, &nginx));
	assert_false(selector_matches(&s, &cafe));
	s.only_named = false;
	assert_true(selector_matches(&s, &nginx));
	assert_true(selector_matches(&s, &cafe));
	s.container = CAFE;
	assert_false(selector_matches(&s, &nginx));
	assert_int_equal(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	containers_done(&names);
}

static void test_users(void **state)
{
	(void)state;
	YES(&nginx, .user = "33");
	NO(&nginx, .user = "0");
	NO(&nginx, .user = "root");
	YES(&rooted, .user = "root");
	NO(&nobody, .user = "root");
}

static void test_all_must_match(void **state)
{
	(void)state;
	YES(&nginx, .comm_glob = "nginx", .exe_glob = "nginx", .cgroup = "/docker",
	    .container = "0123", .user = "33");
	NO(&nginx, .comm_glob = "nginx", .user = "34");
	NO(&nginx, .comm_glob = "apache", .user = "33");
	YES(&nginx, .everything = true);
	assert_false(selector_matches(&(struct selector){.everything = true},
				      &(struct identity){.pid = getpid()}));
	assert_true(selector_is_empty(&(struct selector){0}));
	assert_true(selector_matches(&(struct selector){0}, &nginx));
}

static void test_refused(void **state)
{
	static const struct selector refused[] = {
		{.user = "no-such-user-here"},
		{.user = "4294967295"},
		{.user = "99999999999999999999999"},
		{.user = "12x"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct selector s = refused[i];
		struct diag d = {0};

		assert_int_equal(selector_check(&s, &d), -EINVAL);
		assert_int_equal(d.exit_code, EXIT_USAGE);
		assert_true(d.text[0]);
	}
}

struct visits {
	pid_t wanted;
	int n, n_wanted, stop;
};

static int count_visit(void *arg, const struct identity *id)
{
	struct visits *v = arg;

	v->n++;
	v->n_wanted += id->pid == v->wanted;
	assert_int_not_equal(id->pid, getpid());
	assert_int_not_equal(id->pid, 2); /* kthreadd, where it is to be seen */
	return v->stop;
}

static void test_each(void **state)
{
	const struct selector by_name = {.comm_glob = "seep-sel-*"}, all = {.everything = true};
	struct visits v = {0};
	struct diag d = {0};
	siginfo_t info;
	int ready[2];
	char byte;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	v.wanted = fork();
	if (!v.wanted) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "seep-sel-child");
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(selector_each(&by_name, count_visit, &v, &d), 0);
	assert_int_equal(v.n_wanted, 1);
	v.n_wanted = 0;
	assert_int_equal(selector_each(&all, count_visit, &v, &d), 0);
	assert_int_equal(v.n_wanted, 1);
	v = (struct visits){.wanted = v.wanted, .stop = 7};
	assert_int_equal(selector_each(&all, count_visit, &v, &d), 7);
	assert_int_equal(v.n, 1);
	kill(v.wanted, SIGKILL);
	/* A zombie is none. */
	assert_int_equal(waitid(P_PID, v.wanted, &info, WEXITED | WNOWAIT), 0);
	v = (struct visits){.wanted = v.wanted};
	assert_int_equal(selector_each(&by_name, count_visit, &v, &d), 0);
	assert_int_equal(v.n_wanted, 0);
	waitpid(v.wanted, NULL, 0);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_cgroups),
		cmocka_unit_test(test_containers),
		cmocka_unit_test(test_container_names),
		cmocka_unit_test(test_name_before_beginning),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_all_must_match),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
