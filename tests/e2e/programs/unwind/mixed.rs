//! Rust: closures, trait objects, panics that pass through frames and are caught, threads, and C
//! functions that call back. The chains are known from the source: each function tells of itself.

use std::cell::RefCell;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::Mutex;

// The compiler cannot look through it. (std::hint's is younger than some compilers.)
#[inline(always)]
fn black_box<T>(value: T) -> T {
    unsafe {
        let copy = std::ptr::read_volatile(&value);
        std::mem::forget(value);
        copy
    }
}

const ROUNDS: i32 = 200;

thread_local! {
    static SHADOW: RefCell<Vec<&'static str>> = RefCell::new(Vec::with_capacity(64));
}
static CHAINS: Mutex<Vec<(String, u64)>> = Mutex::new(Vec::new());

struct Entered;
impl Entered {
    fn new(name: &'static str) -> Entered {
        SHADOW.with(|s| s.borrow_mut().push(name));
        Entered
    }
}
impl Drop for Entered {
    fn drop(&mut self) {
        SHADOW.with(|s| s.borrow_mut().pop());
    }
}

/// The one place whose allocations are looked at.
#[no_mangle]
#[inline(never)]
pub extern "C" fn Block() {
    let block = black_box(Box::new([0u8; 40]));
    black_box(&block);
}
#[no_mangle]
#[inline(never)]
pub extern "C" fn Allocate() {
    let _entered = Entered::new("Allocate");
    Block();
    count();
}

#[inline(never)]
fn count() {
    let chain = SHADOW.with(|s| {
        let names = s.borrow();
        "Block;".to_string() + &names.iter().rev().cloned().collect::<Vec<_>>().join(";")
    });
    let mut chains = CHAINS.lock().unwrap();
    match chains.iter_mut().find(|(known, _)| *known == chain) {
        Some((_, times)) => *times += 1,
        None => chains.push((chain, 1)),
    }
}

trait Shape {
    fn visit(&self, depth: i32, last: &dyn Fn());
}
struct Small(u8);
struct Large([u64; 24]);

#[no_mangle]
#[inline(never)]
pub fn VisitSmall(depth: i32, value: u8, last: &dyn Fn()) {
    let _entered = Entered::new("VisitSmall");
    black_box(value);
    descend(depth, last);
}
#[no_mangle]
#[inline(never)]
pub fn VisitLarge(depth: i32, values: [u64; 24], last: &dyn Fn()) {
    let _entered = Entered::new("VisitLarge");
    black_box(values);
    descend(depth, last);
}
impl Shape for Small {
    fn visit(&self, depth: i32, last: &dyn Fn()) {
        VisitSmall(depth, self.0, last);
    }
}
impl Shape for Large {
    fn visit(&self, depth: i32, last: &dyn Fn()) {
        VisitLarge(depth, self.0, last);
    }
}
fn descend(depth: i32, last: &dyn Fn()) {
    if depth == 0 {
        return last();
    }
    let shape: Box<dyn Shape> =
        if depth % 2 == 0 { Box::new(Small(1)) } else { Box::new(Large([7; 24])) };
    black_box(shape).visit(depth - 1, last);
}

#[no_mangle]
#[inline(never)]
pub fn Panics() {
    let _entered = Entered::new("Panics");
    Allocate();
    resume_unwind(Box::new(1));
}
#[no_mangle]
#[inline(never)]
pub fn Catches(depth: i32) {
    let _entered = Entered::new("Catches");
    let caught = catch_unwind(AssertUnwindSafe(|| descend(depth, &Panics)));
    assert!(caught.is_err());
    Allocate();
}

extern "C" {
    fn qsort(base: *mut i32, count: usize, size: usize, compare: extern "C" fn(*const i32, *const i32) -> i32);
}
#[no_mangle]
#[inline(never)]
pub extern "C" fn Compare(a: *const i32, b: *const i32) -> i32 {
    let _entered = Entered::new("Compare");
    Allocate();
    unsafe { *a - *b }
}
#[no_mangle]
#[inline(never)]
pub fn Sorts() {
    let _entered = Entered::new("Sorts");
    let mut numbers = [5, 3, 9, 1, 7, 2];
    unsafe { qsort(numbers.as_mut_ptr(), 6, 4, Compare) };
    assert_eq!(numbers, [1, 2, 3, 5, 7, 9]);
}

#[no_mangle]
#[inline(never)]
pub fn Work() {
    let _entered = Entered::new("Work");
    for i in 0..ROUNDS {
        descend(i % 6, &Last);
        Catches(i % 5);
        Sorts();
    }
}
fn Last() {
    Allocate();
}

fn main() {
    std::thread::Builder::new().spawn(Work).unwrap().join().unwrap();
    Work();
    let chains = CHAINS.lock().unwrap();
    let list: Vec<_> = chains.iter().map(|(chain, n)| format!("\"{}\":{}", chain, n)).collect();
    println!("READY{{\"chains\":{{{}}}}}", list.join(","));
}
