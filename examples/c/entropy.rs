// The same as entropy.c in Rust, without a crate:
//
//     lib=$(dirname "$(python -c 'import fastrenyi; print(fastrenyi.get_library())')")
//     rustc -L "$lib" -C link-arg=-Wl,-rpath,"$lib" entropy.rs && ./entropy
use std::ffi::{c_char, c_int, CStr};

#[repr(C)]
struct View {
    data: *const f64,
    batch: i64,
    rows: i64,
    cols: i64,
    batch_stride: i64,
    row_stride: i64,
    col_stride: i64,
}

#[link(name = "fastrenyi")]
extern "C" {
    fn fr_abi_version() -> c_int;
    fn fr_error_message() -> *const c_char;
    fn fr_gaussian_gram_f64(x: *const View, widths: *const f64, out: *mut f64, flags: u32, threads: c_int) -> c_int;
    fn fr_hadamard_f64(factors: *const View, count: i64, out: *mut f64, flags: u32, threads: c_int) -> c_int;
    fn fr_spectrum_f64(a: *const View, values: *mut f64, flags: u32, threads: c_int) -> c_int;
    fn fr_entropy_f64(
        spectra: *const f64, batch: i64, n: i64, orders: *const f64, order_count: i64, epsilon: f64, out: *mut f64,
        flags: u32, threads: c_int,
    ) -> c_int;
}

const UNCHECKED: u32 = 1;

fn check(status: c_int) -> Result<(), String> {
    match status {
        0 => Ok(()),
        _ => Err(unsafe { CStr::from_ptr(fr_error_message()) }.to_string_lossy().into_owned()),
    }
}

/// Matrices of rows x cols elements, row by row.
fn dense(data: &[f64], rows: usize, cols: usize) -> View {
    let (batch, rows, cols) = ((data.len() / (rows * cols)) as i64, rows as i64, cols as i64);
    View { data: data.as_ptr(), batch, rows, cols, batch_stride: rows * cols, row_stride: cols, col_stride: 1 }
}

fn main() -> Result<(), String> {
    assert_eq!(unsafe { fr_abi_version() }, 1);
    let n = 50;
    let samples: Vec<f64> =
        (0..n).map(|i| (i as f64).sin()).chain((0..n).map(|i| (3.0 * i as f64).cos())).collect();
    let mut grams = vec![0.0; 2 * n * n];
    let mut joint = vec![0.0; n * n];
    let (mut spectra, mut bits) = (vec![0.0; 3 * n], [0.0; 6]);
    let orders = [1.01, 2.0];
    unsafe {
        check(fr_gaussian_gram_f64(&dense(&samples, n, 1), [0.5, 0.5].as_ptr(), grams.as_mut_ptr(), 0, 0))?;
        let factors = [dense(&grams[..n * n], n, n), dense(&grams[n * n..], n, n)];
        check(fr_hadamard_f64(factors.as_ptr(), 2, joint.as_mut_ptr(), 0, 0))?;
        grams.extend(&joint);
        check(fr_spectrum_f64(&dense(&grams, n, n), spectra.as_mut_ptr(), UNCHECKED, 0))?;
        check(fr_entropy_f64(
            spectra.as_ptr(), 3, n as i64, orders.as_ptr(), 2, 0.0, bits.as_mut_ptr(), UNCHECKED, 0,
        ))?;
    }
    for m in 0..2 {
        let (x, y, both) = (bits[m], bits[2 + m], bits[4 + m]);
        println!(
            "order {:.2}: S(x) = {x:.6}, S(y) = {y:.6}, S(x, y) = {both:.6}, I(x; y) = {:.6} bits",
            orders[m],
            x + y - both
        );
    }
    Ok(())
}
