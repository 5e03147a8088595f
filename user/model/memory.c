// SPDX-License-Identifier: BSD-2-Clause
#include "model/memory.h"

#include "base/cleanup.h"

#define FIELD(name)                                                                                \
	{                                                                                          \
#name, offsetof(struct memory_account, name)                                       \
	}

const struct memory_field memory_fields[] = {
	FIELD(resident_bytes),	   FIELD(outstanding_bytes), FIELD(outstanding_allocations),
	FIELD(rounding_bytes),	   FIELD(before_bytes),	     FIELD(before_allocations),
	FIELD(cached_bytes),	   FIELD(free_bytes),	     FIELD(own_bytes),
	FIELD(untouched_bytes),	   FIELD(stack_bytes),	     FIELD(anonymous_bytes),
	FIELD(elsewhere_bytes),	   FIELD(file_bytes),	     FIELD(shared_bytes),
	FIELD(thread_stack_bytes), FIELD(executable_bytes),  FIELD(n_threads),
};
const size_t n_memory_fields = ARRAY_SIZE(memory_fields);
