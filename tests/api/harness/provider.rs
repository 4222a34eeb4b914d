//! The simulator as the provider of one test.

use std::net::SocketAddr;

use threadkeep::simulator;

/// A simulator of the test's own.
pub struct Provider {
    /// Ends in `/v1`.
    pub base_url: String,
}

impl Provider {
    /// Starts it on any free port; it ends with the test.
    pub fn start() -> Self {
        Self::with_delta_delay_ms(0)
    }

    /// The same, with a pause between two pieces of a stream.
    pub fn with_delta_delay_ms(delta_delay_ms: u64) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = simulator::Config { listen, delta_delay_ms, workers: 1, ..simulator::Config::default() };
        let running = simulator::start(&config).unwrap();
        let base_url = running.base_url();
        actix_rt::spawn(running.server);
        Self { base_url }
    }
}
