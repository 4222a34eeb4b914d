//! The closed set of faults and how each is written; not where the next one comes from.

/// The longest silence that a fault may ask for, in milliseconds.
pub const SILENCE_MS_MAX: u64 = 120_000;
/// The largest body that a fault may ask for, in MiB.
pub const HUGE_MIB_MAX: u64 = 64;
/// How often at most a fault may be told to repeat.
pub const TIMES_MAX: u64 = 1_000_000;

const KINDS: &str = "status, quota, cut, stall, slow_head, garbage, html, huge, refusal, incomplete, \
    content_filter, failed, error_event, function_call, empty, no_terminal, no_event_lines, done_marker, \
    disconnect, unknown_events";

/// The headers that a failure may be told to carry.
const RETRY_HEADERS: [&str; 3] = ["retry-after", "retry-after-ms", "x-should-retry"];

/// An answer with an error status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// From 400 to 599.
    pub status: u16,
    /// The error's code, when it is not the status's usual one.
    pub code: Option<String>,
    /// The headers about trying again, when they are not the status's usual ones.
    pub headers: Vec<(&'static str, String)>,
}

/// What can go wrong on purpose, each written as its name in snake case, some with `=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// `status=NUMBER` from 400 to 599: this status with OpenAI's envelope; 429 also tells when to come back. After the
    /// number, `,code=CODE` replaces the code, and `,retry-after=S`, `,retry-after-ms=MS` and `,x-should-retry=BOOL`
    /// replace the headers that say whether and when to try again.
    Status(Failure),
    /// 429 with `credit_balance_exhausted`, which no retry cures.
    Quota,
    /// `cut=DELTAS` (3): the connection ends abruptly within the event after so many deltas, or halfway through a JSON
    /// body.
    Cut {
        /// How many deltas arrive whole.
        deltas: usize,
    },
    /// `stall=MS` (120,000): the head, then silence, then the connection ends abruptly.
    Stall {
        /// At most [`SILENCE_MS_MAX`].
        silence_ms: u64,
    },
    /// `slow_head=MS` (1,000): silence first, then a normal answer.
    SlowHead {
        /// At most [`SILENCE_MS_MAX`].
        silence_ms: u64,
    },
    /// An event of the stream, or the body, is broken JSON.
    Garbage,
    /// 200 with an HTML page.
    Html,
    /// `huge=MIB` (64): a well-formed answer of so many MiB: many deltas, or white space before the JSON.
    Huge {
        /// At most [`HUGE_MIB_MAX`].
        mib: u64,
    },
    /// The model refuses.
    Refusal,
    /// Half the text, then incomplete for `max_output_tokens`.
    Incomplete,
    /// Half the text, then incomplete for `content_filter`.
    ContentFilter,
    /// `failed=CODE` (`server_error`): half the text, then failed; status 500 where the wire has no other way.
    Failed {
        /// The code of the error in the response.
        code: String,
    },
    /// Half the text, then an `error` event; status 500 without a stream.
    ErrorEvent,
    /// `function_call=NAME` (the first tool): a call of this function; an answer as usual when the request has no such
    /// tool.
    FunctionCall {
        /// Which of the request's functions.
        name: Option<String>,
    },
    /// Completed without any output.
    Empty,
    /// The stream ends in order, but without its terminal event; a JSON body says that it is not finished.
    NoTerminal,
    /// The Responses stream without `event:` lines, as other servers send it.
    NoEventLines,
    /// The Responses stream with a `[DONE]` at its end, as other servers send it.
    DoneMarker,
    /// The connection is closed before the head.
    Disconnect,
    /// Items, events and fields that no document names, and nulls where a reader may hope for a value.
    UnknownEvents,
}

impl Failure {
    fn new(status: u16) -> Self {
        Self { status, code: None, headers: Vec::new() }
    }
}

impl Fault {
    /// Reads `kind` and `value`; the error is a sentence for a person.
    pub fn parse(kind: &str, value: Option<&str>) -> Result<Self, String> {
        let number = |default, max| number(kind, value, default, max);
        Ok(match kind {
            "status" => Self::Status(failure(value)?),
            "quota" => Self::Quota,
            "cut" => Self::Cut { deltas: usize::try_from(number(3, 1_000_000)?).unwrap_or(usize::MAX) },
            "stall" => Self::Stall { silence_ms: number(SILENCE_MS_MAX, SILENCE_MS_MAX)? },
            "slow_head" => Self::SlowHead { silence_ms: number(1_000, SILENCE_MS_MAX)? },
            "garbage" => Self::Garbage,
            "html" => Self::Html,
            "huge" => Self::Huge { mib: number(HUGE_MIB_MAX, HUGE_MIB_MAX)? },
            "refusal" => Self::Refusal,
            "incomplete" => Self::Incomplete,
            "content_filter" => Self::ContentFilter,
            "failed" => Self::Failed { code: value.unwrap_or("server_error").to_owned() },
            "error_event" => Self::ErrorEvent,
            "function_call" => Self::FunctionCall { name: value.map(str::to_owned) },
            "empty" => Self::Empty,
            "no_terminal" => Self::NoTerminal,
            "no_event_lines" => Self::NoEventLines,
            "done_marker" => Self::DoneMarker,
            "disconnect" => Self::Disconnect,
            "unknown_events" => Self::UnknownEvents,
            _ => return Err(format!("There is no fault '{kind}'; there are: {KINDS}.")),
        })
    }

    /// Its name in snake case.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Quota => "quota",
            Self::Cut { .. } => "cut",
            Self::Stall { .. } => "stall",
            Self::SlowHead { .. } => "slow_head",
            Self::Garbage => "garbage",
            Self::Html => "html",
            Self::Huge { .. } => "huge",
            Self::Refusal => "refusal",
            Self::Incomplete => "incomplete",
            Self::ContentFilter => "content_filter",
            Self::Failed { .. } => "failed",
            Self::ErrorEvent => "error_event",
            Self::FunctionCall { .. } => "function_call",
            Self::Empty => "empty",
            Self::NoTerminal => "no_terminal",
            Self::NoEventLines => "no_event_lines",
            Self::DoneMarker => "done_marker",
            Self::Disconnect => "disconnect",
            Self::UnknownEvents => "unknown_events",
        }
    }

    /// A fault that chance may bring: those that cost neither side minutes or memory.
    pub fn by_chance(random: &mut fastrand::Rng) -> Self {
        match random.u8(0..10) {
            0 => Self::Status(Failure::new(429)),
            1 => Self::Status(Failure::new(500)),
            2 => Self::Status(Failure::new(503)),
            3 => Self::Cut { deltas: 3 },
            4 => Self::Garbage,
            5 => Self::Html,
            6 => Self::Incomplete,
            7 => Self::Failed { code: "server_error".to_owned() },
            8 => Self::NoTerminal,
            _ => Self::Disconnect,
        }
    }
}

/// A fault written into a message: `[[simulate: KIND]]`, `[[simulate: KIND=VALUE]]`, either with ` times=N`.
pub struct Directive {
    pub fault: Fault,
    /// How often the very same request meets the fault before it is answered; always when absent.
    pub times: Option<u64>,
}

impl Directive {
    /// The first directive of a text, if it has one; the error is a sentence for a person.
    pub fn find(text: &str) -> Result<Option<Self>, String> {
        let inside = text.split_once("[[simulate:").and_then(|(_, rest)| rest.split_once("]]"));
        let Some((inside, _)) = inside else {
            return Ok(None);
        };
        let mut words = inside.split_whitespace();
        let (kind, value) = pair(words.next().unwrap_or_default());
        let mut times = None;
        for word in words {
            match pair(word) {
                ("times", value) => times = Some(number("times", value, 1, TIMES_MAX)?),
                _ => return Err(format!("A directive has no '{word}', only 'times=N'.")),
            }
        }
        let fault = Fault::parse(kind, value)?;
        Ok(Some(Self { fault, times }))
    }
}

fn pair(word: &str) -> (&str, Option<&str>) {
    word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value)))
}

fn number(kind: &str, value: Option<&str>, default: u64, max: u64) -> Result<u64, String> {
    let Some(value) = value else {
        return Ok(default);
    };
    let number = value.parse().ok().filter(|number| *number <= max);
    number.ok_or_else(|| format!("'{kind}={value}' needs a whole number from 0 to {max}."))
}

fn failure(value: Option<&str>) -> Result<Failure, String> {
    let mut words = value.unwrap_or_default().split(',');
    let status = words.next().and_then(|word| word.parse().ok());
    let status = status.filter(|status| (400..600).contains(status));
    let mut failure = Failure::new(status.ok_or("'status' needs a number from 400 to 599, as in 'status=503'.")?);
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let header = RETRY_HEADERS.into_iter().find(|header| *header == key);
        match (key, header) {
            ("code", _) => failure.code = Some(value.to_owned()),
            (_, Some(header)) => failure.headers.push((header, value.to_owned())),
            (_, None) => return Err(format!("'status' has no '{key}', only 'code' and {RETRY_HEADERS:?}.")),
        }
    }
    Ok(failure)
}
