// SPDX-License-Identifier: BSD-2-Clause
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "collect/collector.h"
#include "model/losses.h"
#include "model/report.h"
#include "wire.h"

static void assert_is_sentences(const char *text)
{
	assert_true(text && isupper((unsigned char)text[0]));
	assert_int_equal(text[strlen(text) - 1], '.');
}

static void each_cause_has_its_texts(void **state)
{
	(void)state;
	for (enum loss_cause i = 0; i < LOSS_CAUSES; i++) {
		const struct loss_text *text = loss_text(i);

		assert_non_null(text->cause);
		assert_ptr_equal(loss_find(text->cause), text); /* and no other has its name */
		for (const char *c = text->cause; *c; c++)
			assert_true(islower((unsigned char)*c) || *c == '_');
		assert_true(text->sentence && islower((unsigned char)text->sentence[0]));
		assert_int_not_equal(text->sentence[strlen(text->sentence) - 1], '.');
		assert_is_sentences(text->why);
		assert_is_sentences(text->remedy);
	}
	assert_null(loss_find("no such cause"));
}

static void what_the_kernel_side_counts_is_described(void **state)
{
	(void)state;
	for (size_t i = 0; i < WIRE_LOST_MAX; i++) {
		const char *name = collector_loss_name(i);

		if (!name)
			fail_msg("cause %zu of enum wire_loss has no name in collector.c", i);
		if (!loss_find(name))
			fail_msg("%s has no texts in model/losses.c", name);
	}
	assert_null(collector_loss_name(WIRE_LOST_MAX));
}

static void the_manual_lists_all(void **state)
{
	char *page = NULL, item[64];
	size_t n = 0;
	FILE *f = open_memstream(&page, &n);

	(void)state;
	man_print(f, &command_seep);
	fclose(f);
	assert_non_null(strstr(page, "\n.SH LOSSES\n"));
	for (enum loss_cause i = 0; i < LOSS_CAUSES; i++) {
		snprintf(item, sizeof(item), "\n.B %s\n", loss_text(i)->cause);
		if (!strstr(page, item))
			fail_msg("%s is not in seep(1)", loss_text(i)->cause);
	}
	free(page);
}

static void counts_of_one_cause_add_up(void **state)
{
	struct loss *list = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(losses_count(&list, &n, LOSS_MISSED_RUNS, 0), 0);
	assert_int_equal(n, 0);
	assert_int_equal(losses_count(&list, &n, LOSS_MISSED_RUNS, 2), 0);
	assert_int_equal(losses_add(&list, &n, "of_a_later_version", 1), 0);
	assert_int_equal(losses_add(&list, &n, "missed_runs", 3), 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].cause, "missed_runs");
	assert_int_equal(list[0].count, 5);
	assert_int_equal(list[1].count, 1);
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_cause_has_its_texts),
		cmocka_unit_test(what_the_kernel_side_counts_is_described),
		cmocka_unit_test(the_manual_lists_all),
		cmocka_unit_test(counts_of_one_cause_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
