//! The window's end of the player, which is opened when something is first played.

use std::sync::Arc;

use atelier_engine::protocol::Pcm;

use super::audio_out::Player;
use crate::state::Silence;
use crate::update::{Incoming, PlayerOrder, PlayerReport};

/// Holds the player, once there is one.
#[derive(Debug, Default)]
pub struct PlayerLink {
    player: Option<Player>,
    loaded: Option<Arc<Pcm>>,
    /// Why there is no player, until the next try.
    refused: Option<String>,
}

impl PlayerLink {
    /// Does what it is told; never blocks.
    pub fn carry_out(&mut self, order: PlayerOrder) {
        if self.player.is_none() && matches!(order, PlayerOrder::Play { .. }) {
            match Player::open() {
                Ok(player) => self.player = Some(player),
                Err(error) => self.refused = Some(error.to_string()),
            }
        }
        let Some(player) = &mut self.player else { return };
        match order {
            PlayerOrder::Play { pcm, from_secs, region, gain } => {
                if !self.loaded.as_ref().is_some_and(|loaded| Arc::ptr_eq(loaded, &pcm)) {
                    player.load(pcm.clone());
                    self.loaded = Some(pcm);
                }
                player.set_gain(gain);
                player.seek(from_secs);
                player.set_loop(region);
                player.play();
            }
            PlayerOrder::Pause => player.pause(),
            PlayerOrder::Seek(secs) => player.seek(secs),
            PlayerOrder::Loop(region) => player.set_loop(region),
            PlayerOrder::Gain(gain) => player.set_gain(gain),
            PlayerOrder::Eject => {
                // An empty sound takes the place of one that may be large.
                if self.loaded.take().is_some() {
                    let samples = Vec::new();
                    player.load(Arc::new(Pcm { sample_rate_hz: 48_000, channels: 2, samples }));
                }
            }
        }
    }

    /// Returns what the player is doing, while something is loaded.
    pub fn poll(&mut self) -> Option<Incoming> {
        if let Some(reason) = self.refused.take() {
            let silence = Some(Silence::Refused(reason));
            return Some(Incoming::Player(PlayerReport { silence, ..Default::default() }));
        }
        self.loaded.as_ref()?;
        let status = self.player.as_ref()?.status();
        Some(Incoming::Player(PlayerReport {
            is_playing: status.is_playing,
            head_secs: status.position_secs,
            silence: status.silent_because,
            underruns: status.underruns,
        }))
    }
}
