//! Ordinary least squares with a handful of columns.

/// The most columns a shape has.
const MOST: usize = 6;

/// Coefficients, one a column, and the mean of the squared residuals.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Solution {
    pub(crate) coefficients: Vec<f64>,
    pub(crate) mean_square: f64,
}

/// Fits `y` by the columns, by modified Gram-Schmidt (Björck 1967), which
/// loses little where columns are nearly parallel. `None` where they are.
pub(crate) fn solve(columns: &[Vec<f64>], y: &[f64]) -> Option<Solution> {
    let k = columns.len();
    debug_assert!(k <= MOST);
    let mut q: Vec<Vec<f64>> = columns.to_vec();
    let mut r = [[0.0; MOST]; MOST];
    let mut rest = y.to_vec();
    let mut z = [0.0; MOST];
    for i in 0..k {
        let before = norm(&columns[i]);
        let length = norm(&q[i]);
        if length <= 1e-9 * before.max(f64::MIN_POSITIVE) {
            return None;
        }
        r[i][i] = length;
        q[i].iter_mut().for_each(|v| *v /= length);
        let (done, todo) = q.split_at_mut(i + 1);
        for (offset, column) in todo.iter_mut().enumerate() {
            let share = dot(&done[i], column);
            r[i][i + 1 + offset] = share;
            subtract(column, &done[i], share);
        }
        z[i] = dot(&done[i], &rest);
        subtract(&mut rest, &done[i], z[i]);
    }
    let mut coefficients = vec![0.0; k];
    for i in (0..k).rev() {
        let known: f64 = (i + 1..k).map(|j| r[i][j] * coefficients[j]).sum();
        coefficients[i] = (z[i] - known) / r[i][i];
    }
    Some(Solution {
        coefficients,
        mean_square: dot(&rest, &rest) / y.len() as f64,
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn subtract(from: &mut [f64], what: &[f64], share: f64) {
    from.iter_mut()
        .zip(what)
        .for_each(|(value, part)| *value -= share * part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_exactly() {
        let x: Vec<f64> = (0..9).map(f64::from).collect();
        let y: Vec<f64> = x.iter().map(|x| 3.0 + 2.0 * x).collect();
        let found = solve(&[vec![1.0; 9], x], &y).unwrap();
        assert!((found.coefficients[0] - 3.0).abs() < 1e-9);
        assert!((found.coefficients[1] - 2.0).abs() < 1e-9);
        assert!(found.mean_square < 1e-18);
    }

    #[test]
    fn the_same_column_twice_has_no_solution() {
        assert_eq!(solve(&[vec![1.0; 4], vec![2.0; 4]], &[1.0; 4]), None);
    }
}
