// SPDX-License-Identifier: BSD-2-Clause
/* A map against a plain array of what it should hold, through puts, takes and sweeps at every load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hashmap.h"

#define N_KEYS 500

static char values[N_KEYS]; /* the value of key k is &values[k] */

struct expected {
	bool there[N_KEYS];
	unsigned int divisor, asked;
};

/* Keys with high bits, too. */
static uint64_t key_of(size_t k)
{
	return k * 0x100000001ULL;
}

static void check(const struct hashmap *m, const struct expected *e)
{
	size_t n = 0, n_walked = 0, cursor = 0;
	uint64_t key;
	char *value;

	for (size_t k = 0; k < N_KEYS; k++) {
		assert_ptr_equal(hashmap_get(m, key_of(k)), e->there[k] ? &values[k] : NULL);
		n += e->there[k];
	}
	while ((value = hashmap_next(m, &cursor, &key))) {
		assert_true(key == key_of(value - values));
		n_walked++;
	}
	assert_int_equal(n, m->n);
	assert_int_equal(n, n_walked);
}

static bool drop_multiples(void *arg, void *value)
{
	struct expected *e = arg;
	size_t k = (char *)value - values;

	assert_true(e->there[k]);
	e->asked++;
	if (k % e->divisor)
		return false;
	e->there[k] = false;
	return true;
}

static void as_an_array(void **state)
{
	struct hashmap m = HASHMAP_INIT;
	struct expected e = {.divisor = 1};

	(void)state;
	srandom(1);
	hashmap_sweep(&m, drop_multiples, &e);
	assert_null(hashmap_take(&m, 1));
	for (int round = 0; round < 2000; round++) {
		size_t k = random() % N_KEYS, n;

		if (random() % 3) {
			assert_int_equal(hashmap_put(&m, key_of(k), &values[k]), 0);
			e.there[k] = true;
		} else {
			assert_ptr_equal(hashmap_take(&m, key_of(k)),
					 e.there[k] ? &values[k] : NULL);
			e.there[k] = false;
		}
		if (round % 20 == 0) {
			n = m.n;
			e.divisor = 1 + random() % 7;
			e.asked = 0;
			hashmap_sweep(&m, drop_multiples, &e);
			assert_true(e.asked >= n);
		}
		check(&m, &e);
	}
	e.divisor = 1;
	hashmap_sweep(&m, drop_multiples, &e);
	check(&m, &e);
	hashmap_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
