/* SPDX-License-Identifier: BSD-2-Clause */
/* A program without a libc: pauses. Built stripped (no allocator symbol) and for 32 bit (-m32). */
void _start(void);

void _start(void)
{
	for (;;) {
#ifdef __x86_64__
		long result = 34; /* pause */

		__asm__ volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
#elif defined(__i386__)
		int result = 29;

		__asm__ volatile("int $0x80" : "+a"(result) : : "memory");
#else
		__asm__ volatile("" : : : "memory");
#endif
	}
}
