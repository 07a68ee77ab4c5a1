//! Work on several processors, results in order.
//!
//! Knows nothing of what is done.

use std::sync::Mutex;

/// How many threads are of use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Calls `work` with every item on up to `threads` threads, this one among
/// them, and returns the results in the order of the items.
pub(crate) fn map<T: Send, R: Send>(
    items: Vec<T>,
    threads: usize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let helpers = threads.min(items.len()).saturating_sub(1);
    if helpers == 0 {
        return items.into_iter().map(work).collect();
    }
    let queue = Mutex::new(items.into_iter().enumerate());
    let take = || {
        let mut queue = queue
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        queue.next()
    };
    let work_off = || {
        let mut done = Vec::new();
        while let Some((at, item)) = take() {
            done.push((at, work(item)));
        }
        done
    };
    let mut done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..helpers).map(|_| scope.spawn(work_off)).collect();
        let mut done = work_off();
        for thread in threads {
            done.extend(
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Does both at the same time, if there are threads for that.
pub(crate) fn both(threads: usize, one: impl FnOnce() + Send, other: impl FnOnce()) {
    if threads < 2 {
        one();
        other();
        return;
    }
    std::thread::scope(|scope| {
        scope.spawn(one);
        other();
    });
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn results_are_in_order() {
        for threads in 0..4 {
            let squares: Vec<_> = (0..100).map(|n| n * n).collect();
            assert_eq!(map((0..100).collect(), threads, |n| n * n), squares);
        }
    }
}
