//! A channel for very many small items. They travel by the hundred: to hand over each of them alone, and to wake whoever
//! waits for it, costs more than to make it.

use tokio::{sync::mpsc, task::coop};

/// So many items travel at once. The first ones do not wait for so many others.
const MOST: usize = 256;

/// Nobody listens any more.
#[derive(Debug)]
pub(crate) struct Gone;

/// A channel that holds so many batches on their way.
pub(crate) fn channel<T>(batches: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(batches);
    (
        Sender { channel: sender, items: Vec::new(), enough: 1 },
        Receiver { channel: receiver, items: Vec::new().into_iter() },
    )
}

/// Collects items. What has not been flushed when it is dropped gets lost.
#[derive(Debug)]
pub(crate) struct Sender<T> {
    channel: mpsc::Sender<Vec<T>>,
    items: Vec<T>,
    /// The next batch is as large as this.
    enough: usize,
}

impl<T> Sender<T> {
    pub(crate) async fn send(&mut self, item: T) -> Result<(), Gone> {
        if self.add(item) { self.flush().await } else { Ok(()) }
    }

    /// Lets what there is go.
    pub(crate) async fn flush(&mut self) -> Result<(), Gone> {
        match std::mem::take(&mut self.items) {
            none if none.is_empty() => Ok(()),
            items => self.channel.send(items).await.map_err(|_| Gone),
        }
    }

    /// The same on a thread that may wait.
    pub(crate) fn blocking_send(&mut self, item: T) -> Result<(), Gone> {
        if self.add(item) { self.blocking_flush() } else { Ok(()) }
    }

    /// The same on a thread that may wait.
    pub(crate) fn blocking_flush(&mut self) -> Result<(), Gone> {
        match std::mem::take(&mut self.items) {
            none if none.is_empty() => Ok(()),
            items => self.channel.blocking_send(items).map_err(|_| Gone),
        }
    }

    /// Whether it is time for a batch.
    fn add(&mut self, item: T) -> bool {
        if self.items.capacity() == 0 {
            self.items.reserve_exact(self.enough);
        }
        self.items.push(item);
        let is_time = self.items.len() >= self.enough;
        if is_time {
            self.enough = MOST.min(2 * self.enough);
        }
        is_time
    }
}

/// Hands the items out one by one.
#[derive(Debug)]
pub(crate) struct Receiver<T> {
    channel: mpsc::Receiver<Vec<T>>,
    items: std::vec::IntoIter<T>,
}

impl<T> Receiver<T> {
    /// The next item; `None` once the sender is gone.
    pub(crate) async fn recv(&mut self) -> Option<T> {
        // However many are at hand, other tasks get their turn.
        coop::consume_budget().await;
        loop {
            if let Some(item) = self.items.next() {
                return Some(item);
            }
            self.items = self.channel.recv().await?.into_iter();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_item_does_not_wait_and_none_is_lost() {
        let (mut sender, mut receiver) = channel(2);
        sender.send(0).await.unwrap();
        assert_eq!(receiver.recv().await, Some(0));
        let thread = std::thread::spawn(move || {
            for n in 1..5000 {
                sender.blocking_send(n).unwrap();
            }
            sender.blocking_flush().unwrap();
        });
        for n in 1..5000 {
            assert_eq!(receiver.recv().await, Some(n));
        }
        assert_eq!(receiver.recv().await, None);
        thread.join().unwrap();
    }

    #[tokio::test]
    async fn whoever_sends_learns_that_nobody_listens() {
        let (mut sender, receiver) = channel(1);
        drop(receiver);
        assert!(sender.send(1).await.is_err());
    }

    #[tokio::test]
    async fn others_get_their_turn_while_there_are_items() {
        let (mut sender, mut receiver) = channel(1000);
        for n in 0..10_000 {
            sender.send(n).await.unwrap();
        }
        let turns = std::rc::Rc::new(std::cell::Cell::new(0));
        let count = std::rc::Rc::clone(&turns);
        let other = async move {
            loop {
                count.set(count.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = other => {}
            () = async { for _ in 0..9000 { receiver.recv().await; } } => {}
        }
        assert!(turns.get() > 10, "{}", turns.get());
    }
}
