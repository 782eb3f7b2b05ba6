//! An answer with vectors, while it arrives.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use tokio::time::timeout;

use super::Permit;
use super::call::Begun;
use super::openai::{Vector, VectorReader};
use crate::domain::Usage;
use crate::responder::{Embeddings, Failure, Inputs, Label, MOST_VECTOR_VALUES, Piece, Question};
use crate::throttle::MemoryShare;

/// Bytes on the wire for each input: a vector of 4,096 numbers with all their digits has less than
/// half.
const WIRE_AN_INPUT: u64 = 256 << 10;
/// Bytes on the wire for the whole answer.
const MOST_ON_THE_WIRE: u64 = 512 << 20;
/// The number of bytes on the wire that each arrival counts as, at least.
const LEAST_OF_AN_ARRIVAL: usize = 64;
/// After the end of the answer, how long to wait for the end of the response, so that its
/// connection can be reused.
const LINGER: Duration = Duration::from_millis(100);

/// An answer with vectors that has begun. Dropping it ends the call: its connection is closed, and
/// its place becomes free.
pub struct EmbeddingsStream {
    /// The response. `None` if nothing more is read.
    response: Option<Response>,
    first: Option<Bytes>,
    /// The permit of the call. `None` after the outcome was reported.
    permit: Option<Permit>,
    reader: VectorReader,
    vectors: Vectors,
    wire_left: u64,
    idle_timeout: Duration,
    usage: Option<Usage>,
    /// How it ended. `None` if it has not.
    ended: Option<Result<(), Failure>>,
    /// The model and the request, as the log names them.
    label: Label,
}

impl EmbeddingsStream {
    /// Continues a response that has begun.
    pub(super) fn new(
        begun: Begun,
        permit: Permit,
        idle_timeout: Duration,
        question: &Question,
        inputs: &Inputs,
    ) -> EmbeddingsStream {
        let wanted = inputs.count();
        let wire = u64::try_from(wanted).unwrap_or(u64::MAX).saturating_mul(WIRE_AN_INPUT);
        EmbeddingsStream {
            response: Some(begun.response),
            first: Some(begun.first),
            permit: Some(permit),
            reader: VectorReader::new(),
            vectors: Vectors::new(wanted),
            wire_left: wire.saturating_add(1 << 20).min(MOST_ON_THE_WIRE),
            idle_timeout,
            usage: None,
            ended: None,
            label: question.label(),
        }
    }

    /// Returns all vectors as one part, and then `None`.
    pub async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        if let Some(ended) = self.ended {
            return ended.map(|()| None);
        }
        let result = self.read().await;
        self.ended = Some(result.as_ref().map(|_| ()).map_err(|failure| *failure));
        match &result {
            Ok(_) => self.end(),
            Err(failure) => self.fail(*failure),
        }
        result.map(|embeddings| Some(Piece::of_embeddings(embeddings)))
    }

    /// Returns the usage that the upstream counted, if it reported any. Complete once `next` has
    /// returned the vectors.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    async fn read(&mut self) -> Result<Embeddings, Failure> {
        while !self.reader.has_ended() {
            let Some(arrived) = self.receive().await? else { break };
            let counted = arrived.len().max(LEAST_OF_AN_ARRIVAL);
            let left = self.wire_left.checked_sub(u64::try_from(counted).unwrap_or(u64::MAX));
            self.wire_left = left.ok_or(Failure::TooLarge)?;
            let mut bytes = &arrived[..];
            while let Some(vector) = self.reader.read(&mut bytes)? {
                self.vectors.add(vector, self.permit.as_ref()).await?;
                // Many vectors must not keep the thread from other calls.
                tokio::task::coop::consume_budget().await;
            }
        }
        self.usage = self.reader.end()?;
        self.vectors.take()
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Failure> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let Some(response) = &mut self.response else { return Ok(None) };
        match timeout(self.idle_timeout, response.chunk()).await {
            Ok(Ok(arrived)) => Ok(arrived),
            Ok(Err(_)) => Err(Failure::CutShort),
            Err(_) => Err(Failure::Stalled),
        }
    }

    fn end(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.succeeded();
        }
        // Usually only the end of the body is missing. Reading it saves a new connection.
        if let Some(mut response) = self.response.take() {
            tokio::spawn(async move { timeout(LINGER, response.chunk()).await.map(drop) });
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.response = None;
        self.label.warn(failure.reason().text());
        if let Some(permit) = self.permit.take() {
            permit.failed(failure);
        }
    }
}

/// The vectors that have arrived.
struct Vectors {
    wanted: usize,
    /// The length of each, known once the first has arrived.
    dimensions: usize,
    values: Vec<f32>,
    /// For each input, whether its vector has arrived.
    arrived: Vec<bool>,
    count: usize,
    /// What they take of the memory budget. `None` before the first one.
    memory: Option<MemoryShare>,
}

impl Vectors {
    fn new(wanted: usize) -> Vectors {
        Vectors { wanted, dimensions: 0, values: Vec::new(), arrived: Vec::new(), count: 0, memory: None }
    }

    /// Adds a vector: one for each input, and all of the same length. The first one takes memory
    /// for all.
    async fn add(&mut self, vector: Vector, permit: Option<&Permit>) -> Result<(), Failure> {
        let Vector { index, values } = vector;
        if self.count == 0 {
            self.make_room(values.len(), permit).await?;
        }
        let at = index.unwrap_or(self.count);
        let is_new = self.arrived.get(at).is_some_and(|has_arrived| !has_arrived);
        if !is_new || values.len() != self.dimensions {
            return Err(Failure::Unreadable);
        }
        let start = at * self.dimensions;
        self.values[start..start + self.dimensions].copy_from_slice(&values);
        self.arrived[at] = true;
        self.count += 1;
        Ok(())
    }

    async fn make_room(&mut self, dimensions: usize, permit: Option<&Permit>) -> Result<(), Failure> {
        let values = self.wanted.saturating_mul(dimensions);
        if values > MOST_VECTOR_VALUES {
            return Err(Failure::TooLarge);
        }
        let bytes = u64::try_from(values * size_of::<f32>()).unwrap_or(u64::MAX);
        if let Some(permit) = permit {
            let mut memory = permit.memory_share();
            memory.grow(bytes).await.map_err(|_| Failure::MemoryFull)?;
            self.memory = Some(memory);
        }
        self.dimensions = dimensions;
        self.values = vec![0.0; values];
        self.arrived = vec![false; self.wanted];
        Ok(())
    }

    /// Takes the vectors out if all have arrived.
    fn take(&mut self) -> Result<Embeddings, Failure> {
        if self.count != self.wanted {
            return Err(Failure::Unreadable);
        }
        let (values, memory) = (std::mem::take(&mut self.values), self.memory.take());
        Embeddings::new(self.dimensions, values, memory).ok_or(Failure::Unreadable)
    }
}

impl fmt::Debug for EmbeddingsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddingsStream")
            .field("usage", &self.usage)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
