// As inlined.cc: one allocation under calls that the compiler inlines, its lines named behind
// "symbols:".

mod pool {
    pub struct Pool<T> {
        pub count: usize,
        pub first: T,
    }

    impl<T: Copy> Pool<T> {
        #[inline(always)]
        pub fn take(&self) -> Vec<T> {
            let mut made = Vec::with_capacity(self.count); // symbols: take
            made.push(self.first);
            made
        }
    }
}

#[inline(always)]
fn make(count: usize) -> Vec<u64> {
    pool::Pool { count, first: 7 }.take() // symbols: make
}

#[inline(never)]
fn outer(count: usize) -> Vec<u64> {
    let build = || make(count); // symbols: closure
    let made = build(); // symbols: outer
    black_box(made)
}

fn main() {
    let made = outer(std::env::args().count() * 1237); // symbols: main
    std::mem::forget(black_box(made));
}

// The compiler cannot look through it. (std::hint's is younger than some compilers.)
#[inline(always)]
fn black_box<T>(value: T) -> T {
    unsafe {
        let copy = std::ptr::read_volatile(&value);
        std::mem::forget(value);
        copy
    }
}
