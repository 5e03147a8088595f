// SPDX-License-Identifier: BSD-2-Clause
#include "process/breakpoint.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#if defined(__x86_64__)
#define TRAP_CODE 0xccU /* int3 */
#define TRAP_BYTES 1
#define TRAP_ADVANCE                                                                               \
	1 /* how far behind the trap's address the instruction pointer is when it has fired */
#define IP(regs) ((regs)->rip)
#elif defined(__aarch64__)
#define TRAP_CODE 0xd4200000U /* brk #0 */
#define TRAP_BYTES 4
#define TRAP_ADVANCE 0
#define IP(regs) ((regs)->pc)
#else
#error "add this architecture's trap instruction"
#endif

static int get_registers(pid_t tid, struct user_regs_struct *ret)
{
	struct iovec iov = {ret, sizeof(*ret)};

	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &iov))
		return -errno;
	/* A 32-bit task has another, shorter set. */
	return iov.iov_len == sizeof(*ret) ? 0 : -ENOTSUP;
}

/* Memory goes by aligned words, which are on one page: the bytes around the trap may be all that is
 * mapped. */
static int peek(pid_t tid, uint64_t address, long *ret_word)
{
	errno = 0;
	*ret_word = ptrace(PTRACE_PEEKTEXT, tid, address & ~(sizeof(long) - 1), NULL);
	return -errno;
}

static int poke(pid_t tid, uint64_t address, long word)
{
	return ptrace(PTRACE_POKETEXT, tid, address & ~(sizeof(long) - 1), word) ? -errno : 0;
}

static char *within(long *word, uint64_t address)
{
	return (char *)word + (address & (sizeof(long) - 1));
}

int breakpoint_get_ip(pid_t tid, uint64_t *ret_ip)
{
	struct user_regs_struct regs;
	int err = get_registers(tid, &regs);

	if (!err)
		*ret_ip = IP(&regs);
	return err;
}

int breakpoint_set(pid_t tid, uint64_t address, struct breakpoint *ret)
{
	struct breakpoint b = {.address = address};
	uint32_t trap = TRAP_CODE;
	long word;
	int err;

	if (address % TRAP_BYTES)
		return -EINVAL;
	err = peek(tid, address, &word);
	if (err)
		return err;
	memcpy(&b.original, within(&word, address), TRAP_BYTES);
	memcpy(within(&word, address), &trap, TRAP_BYTES);
	err = poke(tid, address, word);
	if (!err)
		*ret = b;
	return err;
}

/* Not the whole word as it was: a uprobe may have been set beside the trap since. */
int breakpoint_clear(pid_t tid, const struct breakpoint *b)
{
	uint32_t trap = TRAP_CODE;
	long word;
	int err = peek(tid, b->address, &word);

	if (err || memcmp(within(&word, b->address), &trap, TRAP_BYTES))
		return err;
	memcpy(within(&word, b->address), &b->original, TRAP_BYTES);
	return poke(tid, b->address, word);
}

bool breakpoint_reached(pid_t tid, const struct breakpoint *b)
{
	uint64_t ip;

	return !breakpoint_get_ip(tid, &ip) && ip == b->address + TRAP_ADVANCE;
}

int breakpoint_rewind(pid_t tid, const struct breakpoint *b)
{
	struct user_regs_struct regs;
	struct iovec iov = {&regs, sizeof(regs)};
	int err = get_registers(tid, &regs);

	if (err)
		return err;
	IP(&regs) = b->address;
	return ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &iov) ? -errno : 0;
}
