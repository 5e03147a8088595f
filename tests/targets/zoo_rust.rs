// SPDX-License-Identifier: BSD-2-Clause
//! Rust's Box, Vec and aligned allocations, leaked by mem::forget; the ledger's protocol without
//! ledger.h. The crate is called `rusty`, so that only the allocating functions have zoo_ in their
//! names.
use std::alloc::{alloc, dealloc, Layout};
use std::fmt::Write;
use std::mem::forget;

extern "C" {
    fn write(fd: i32, data: *const u8, n: usize) -> isize;
    fn read(fd: i32, data: *mut u8, n: usize) -> isize;
    fn open(path: *const u8, flags: i32, mode: u32) -> i32;
    fn getenv(name: *const u8) -> *const u8;
    fn getpid() -> i32;
}

const MAX_BLOCKS: usize = 256;

/// Fixed tables: the ledger does not allocate.
struct Ledger {
    blocks: [(usize, usize, &'static str); MAX_BLOCKS],
    n: usize,
}

struct Text {
    bytes: [u8; 65536],
    n: usize,
}

impl Write for Text {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.bytes[self.n..self.n + s.len()].copy_from_slice(s.as_bytes());
        self.n += s.len();
        Ok(())
    }
}

impl Ledger {
    fn add(&mut self, address: usize, size: usize, function: &'static str) {
        self.blocks[self.n] = (address, size, function);
        self.n += 1;
    }

    fn print(&self, fd: i32) {
        let mut out = Text { bytes: [0; 65536], n: 0 };
        let pid = unsafe { getpid() };
        let mut comma = "";
        write!(out, "{{\"ledger\":[").unwrap();
        for (address, size, function) in &self.blocks[..self.n] {
            write!(
                out,
                "{comma}{{\"address\":\"{address:#x}\",\"size\":{size},\"function\":\"{function}\",\"kind\":\"malloc\"}}"
            )
            .unwrap();
            comma = ",";
        }
        writeln!(out, "],\"pid\":{pid},\"role\":\"main\",\"inherited_frees\":0,\"unknown_frees\":0}}").unwrap();
        put(fd, &out.bytes[..out.n]);
    }
}

fn put(fd: i32, bytes: &[u8]) {
    assert_eq!(unsafe { write(fd, bytes.as_ptr(), bytes.len()) }, bytes.len() as isize);
}

fn wait_for_line() {
    let mut c = 0u8;
    while unsafe { read(0, &mut c, 1) } == 1 && c != b'\n' {}
}

#[inline(never)]
fn zoo_box_leak(ledger: &mut Ledger) {
    for i in 0..8u64 {
        let block = Box::new([i; 13]);
        ledger.add(&*block as *const _ as usize, 13 * 8, "zoo_box_leak");
        forget(block);
        std::hint::black_box(Box::new(i));
    }
}

#[inline(never)]
fn zoo_vec_leak(ledger: &mut Ledger) {
    let mut grown: Vec<u32> = Vec::new();
    for i in 0..1000 {
        grown.push(std::hint::black_box(i));
    }
    ledger.add(grown.as_ptr() as usize, grown.capacity() * 4, "zoo_vec_leak");
    forget(grown);
    let zeroed = vec![0u8; std::hint::black_box(5000)];
    ledger.add(zeroed.as_ptr() as usize, 5000, "zoo_vec_leak");
    forget(zeroed);
}

#[inline(never)]
fn zoo_aligned_leak(ledger: &mut Ledger) {
    let layout = Layout::from_size_align(std::hint::black_box(777), 256).unwrap();
    unsafe {
        ledger.add(alloc(layout) as usize, 777, "zoo_aligned_leak");
        dealloc(std::hint::black_box(alloc(layout)), layout);
    }
}

/// Options by /proc: std's argument list allocates.
fn has_option(option: &[u8]) -> bool {
    let mut line = [0u8; 4096];
    let fd = unsafe { open(c"/proc/self/cmdline".as_ptr() as *const u8, 0, 0) };
    let n = unsafe { read(fd, line.as_mut_ptr(), line.len()) }.max(0) as usize;
    line[..n].split(|c| *c == 0).any(|word| word == option)
}

fn main() {
    let automatic = has_option(b"--auto");
    let mut ledger = Ledger { blocks: [(0, 0, ""); MAX_BLOCKS], n: 0 };
    if !automatic {
        let mut ready = Text { bytes: [0; 65536], n: 0 };
        writeln!(ready, "{{\"ready\":{}}}", unsafe { getpid() }).unwrap();
        put(1, &ready.bytes[..ready.n]);
        wait_for_line();
    }
    zoo_box_leak(&mut ledger);
    zoo_vec_leak(&mut ledger);
    zoo_aligned_leak(&mut ledger);
    let path = unsafe { getenv(c"LEDGER_FILE".as_ptr() as *const u8) };
    let append_create_write = 0o2000 | 0o100 | 1;
    let fd = if automatic && !path.is_null() {
        unsafe { open(path, append_create_write, 0o600) }
    } else {
        1
    };
    ledger.print(fd);
    if !automatic || has_option(b"--hold") {
        wait_for_line();
    }
}
