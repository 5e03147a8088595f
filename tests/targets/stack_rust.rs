// SPDX-License-Identifier: BSD-2-Clause
//! Rust: boxes, vectors and strings under closures, trait objects and iterators, in threads, and in drops and after catch_unwind
//! while a panic passes through. Linked with stack_rust_glue.c, which keeps the ledger.
use std::ffi::CString;
use std::hint::black_box;
use std::mem::forget;
use std::panic::{catch_unwind, AssertUnwindSafe};

extern "C" {
    fn malloc(n_bytes: usize) -> *mut u8;
    fn stack_rust_start(argc: i32, argv: *const *const i8);
    fn stack_rust_note(p: *mut u8, n_bytes: usize, function: *const u8, through: *const u8);
    fn stack_rust_finish();
}

/// Notes the block for the function that this is in.
macro_rules! keep {
    ($p:expr, $n:expr, $name:literal, $through:literal) => {
        unsafe {
            stack_rust_note(
                $p as *mut u8,
                $n,
                concat!($name, "\0").as_ptr(),
                concat!($through, "\0").as_ptr(),
            )
        };
        black_box(());
    };
}

trait Shape {
    fn descend(&self, depth: usize) -> usize;
}

struct Boxes;
struct Vectors {
    filler: [usize; 40],
}

impl Shape for Boxes {
    #[inline(never)]
    fn descend(&self, depth: usize) -> usize {
        let block = Box::into_raw(Box::new([depth; 12]));
        keep!(block, 96, "boxes", "rust");
        if depth > 0 {
            shape_of(depth).descend(depth - 1) + 1
        } else {
            0
        }
    }
}

impl Shape for Vectors {
    #[inline(never)]
    fn descend(&self, depth: usize) -> usize {
        let local = black_box(self.filler);
        let got = if depth > 0 {
            shape_of(depth).descend(depth - 1)
        } else {
            0
        };
        let mut many: Vec<u64> = Vec::with_capacity(50);
        keep!(many.as_mut_ptr(), 400, "vectors", "rust");
        forget(many);
        got + local[depth % 40]
    }
}

#[inline(never)]
fn shape_of(depth: usize) -> &'static dyn Shape {
    static BOXES: Boxes = Boxes;
    static VECTORS: Vectors = Vectors { filler: [1; 40] };
    black_box(if depth % 3 == 0 { &BOXES as &dyn Shape } else { &VECTORS })
}

#[inline(never)]
fn with_closure(depth: usize, call: &dyn Fn(usize) -> usize) -> usize {
    if depth == 0 {
        return call(1);
    }
    with_closure(depth - 1, &|n| {
        let p = unsafe { malloc(33 + n) };
        keep!(p, 33 + n, "with_closure", "");
        call(n + 1)
    })
}

#[inline(never)]
fn iterate() -> usize {
    let mut order: Vec<usize> = (0..20).map(|i| (i * 7) % 20).collect();
    order.sort_by(|a, b| {
        let p = unsafe { malloc(30) };
        keep!(p, 30, "iterate", "");
        a.cmp(b)
    });
    order
        .iter()
        .filter(|n| **n % 2 == 0)
        .map(|n| {
            let block = Box::into_raw(Box::new([*n; 5]));
            keep!(block, 40, "iterate", "rust");
            n
        })
        .sum()
}

struct AllocatesAtDrop(usize);

impl Drop for AllocatesAtDrop {
    #[inline(never)]
    fn drop(&mut self) {
        let p = unsafe { malloc(60 + self.0) };
        keep!(p, 60 + self.0, "drop", "");
    }
}

#[inline(never)]
fn panics(depth: usize) -> usize {
    let object = AllocatesAtDrop(depth);
    if depth == 0 {
        panic!("from the bottom");
    }
    panics(depth - 1) + black_box(&object).0
}

#[inline(never)]
fn catches() {
    for depth in 0..8 {
        let got = catch_unwind(AssertUnwindSafe(|| panics(depth)));
        let p = unsafe { malloc(70 + got.is_err() as usize) };
        keep!(p, 70 + got.is_err() as usize, "catches", "");
    }
}

fn work() {
    for depth in 0..30 {
        black_box(shape_of(depth).descend(depth));
    }
    black_box(with_closure(12, &|n| n));
    black_box(iterate());
    catches();
}

fn main() {
    let arguments: Vec<CString> = std::env::args().map(|a| CString::new(a).unwrap()).collect();
    let argv: Vec<*const i8> = arguments.iter().map(|a| a.as_ptr() as *const i8).collect();
    std::panic::set_hook(Box::new(|_| ()));
    unsafe { stack_rust_start(argv.len() as i32, argv.as_ptr()) };
    work();
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(work)).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    unsafe { stack_rust_finish() };
}
