//! Who may what (rows 39, 82, 94, 124, 164, 173, 183 and 191): one table, for 3.1.1 and 5.0.

mod town;

use town::Town;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// A credential without filters: its user name is its device.
    Device,
    /// A client certificate: its common name is its device.
    Certificate,
    /// A credential with filters: [`GATEWAY_PUBLISHES`], [`GATEWAY_SUBSCRIBES`].
    Gateway,
    /// Nobody, where `anonymous = true`.
    Nameless,
    /// A device's credential that was revoked.
    Revoked,
    /// One that has ended by its time, for another one took its place.
    Expired,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    /// Signs in with a will for this topic.
    SignIn(Topic),
    Publish(Topic),
    Subscribe(&'static str),
    /// Subscribes to all of [`EAST`], or to its own where it may not: what it is told of what was retained, or is published then.
    HearRetained,
    HearLive,
    /// Its connection is cut, or its rights end meanwhile: others hear its will.
    WillAtTheEnd,
    /// The same with a delay, in which the rights end (5.0).
    WillAfterADelay,
}

#[derive(Debug, Clone, Copy)]
enum Topic {
    Own,
    Others,
    /// No device's.
    Elsewhere,
    Alerts,
    /// Of a server's.
    Reserved,
}

use Act::{HearLive, HearRetained, Publish, SignIn, Subscribe, WillAfterADelay, WillAtTheEnd};
use Topic::{Alerts, Elsewhere, Others, Own, Reserved};
use Who::{Certificate, Device, Expired, Gateway, Nameless, Revoked};

const EAST: &str = "sanitation/east/#";
const GATEWAY_PUBLISHES: [&str; 2] = ["sanitation/+/+/+/telemetry", "sanitation/east/bin/+/last"];
const GATEWAY_SUBSCRIBES: [&str; 2] = [EAST, "$share/g/sanitation/east/#"];
const EACH: [Who; 6] = [Device, Certificate, Gateway, Nameless, Revoked, Expired];

/// What is answered by 3.1.1, and by 5.0.
type Told = [&'static str; 2];
const YES: Told = ["yes"; 2];
/// It is not let in at all: nobody has that name and secret.
const NOT_IN: Told = ["CONNACK 0x04", "CONNACK 0x86"];
const NO_WILL: Told = ["CONNACK 0x05", "CONNACK 0x87"];
const DENIED: Told = ["closed", "PUBACK 0x87"];
/// A 3.1.1 client would say it again for ever: acknowledged, and dropped.
const DROPPED: Told = ["yes", "PUBACK 0x87"];
/// As such a publish: dropped when it is due.
const QUIET: Told = ["yes", "CONNACK 0x87"];
const REFUSED: Told = ["SUBACK 0x80", "SUBACK 0x87"];
const OWN: Told = ["own"; 2];
const ALL: Told = ["others own"; 2];
const HEARD: Told = ["heard"; 2];
const UNHEARD: Told = ["not heard"; 2];

#[rustfmt::skip]
const RIGHTS: &[(Act, [Told; 6])] = &[
    //                                         device   certificate gateway nameless revoked  expired
    (SignIn(Own),                             [YES,     YES,      YES,      YES,     NOT_IN,  NOT_IN]),
    (SignIn(Others),                          [NO_WILL, NO_WILL,  YES,      YES,     NOT_IN,  NOT_IN]),
    (SignIn(Elsewhere),                       [NO_WILL, NO_WILL,  NO_WILL,  YES,     NOT_IN,  NOT_IN]),
    (SignIn(Alerts),                          [NO_WILL, NO_WILL,  NO_WILL,  NO_WILL, NOT_IN,  NOT_IN]),
    (SignIn(Reserved),                        [QUIET,   QUIET,    QUIET,    QUIET,   NOT_IN,  NOT_IN]),
    (Publish(Own),                            [YES,     YES,      YES,      YES,     NOT_IN,  NOT_IN]),
    (Publish(Others),                         [DENIED,  DENIED,   YES,      YES,     NOT_IN,  NOT_IN]),
    (Publish(Elsewhere),                      [DENIED,  DENIED,   DENIED,   YES,     NOT_IN,  NOT_IN]),
    (Publish(Alerts),                         [DENIED,  DENIED,   DENIED,   DENIED,  NOT_IN,  NOT_IN]),
    (Publish(Reserved),                       [DROPPED, DROPPED,  DROPPED,  DROPPED, NOT_IN,  NOT_IN]),
    (Subscribe("sanitation/+/+/{own}/#"),     [YES,     YES,      REFUSED,  YES,     NOT_IN,  NOT_IN]),
    (Subscribe("sanitation/east/bin/b-2/#"),  [REFUSED, REFUSED,  YES,      YES,     NOT_IN,  NOT_IN]),
    (Subscribe(EAST),                         [REFUSED, REFUSED,  YES,      YES,     NOT_IN,  NOT_IN]),
    (Subscribe("#"),                          [REFUSED, REFUSED,  REFUSED,  YES,     NOT_IN,  NOT_IN]),
    (Subscribe("sanitation/alerts/#"),        [REFUSED, REFUSED,  REFUSED,  REFUSED, NOT_IN,  NOT_IN]),
    (Subscribe("$share/g/sanitation/east/#"), [REFUSED, REFUSED,  YES,      YES,     NOT_IN,  NOT_IN]),
    (Subscribe("$share/h/sanitation/east/#"), [REFUSED, REFUSED,  REFUSED,  YES,     NOT_IN,  NOT_IN]),
    (Subscribe("$share/g/sanitation/+/+/{own}/#"), [REFUSED, REFUSED, REFUSED, YES,  NOT_IN,  NOT_IN]),
    (HearRetained,                            [OWN,     OWN,      ALL,      ALL,     NOT_IN,  NOT_IN]),
    (HearLive,                                [OWN,     OWN,      ALL,      ALL,     NOT_IN,  NOT_IN]),
    (WillAtTheEnd,                            [HEARD,   HEARD,    HEARD,    HEARD,   UNHEARD, UNHEARD]),
    (WillAfterADelay,                         [HEARD,   HEARD,    HEARD,    HEARD,   UNHEARD, UNHEARD]),
];

#[test]
fn n039_n082_n124_n164_n183_n191_who_may_what() {
    let mut town = Town::start();
    let mut wrong = Vec::new();
    for (act, cells) in RIGHTS {
        for (who, told) in EACH.into_iter().zip(cells) {
            for (version, expected) in [4, 5].into_iter().zip(told) {
                let came = town.carry_out(*act, who, version).unwrap_or_else(|refusal| refusal);
                if came != *expected {
                    wrong.push(format!("{act:?} {who:?} {version}: {came}, and not {expected}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
