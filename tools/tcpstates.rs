use tcpscope::kernel::{facts::Facts, plan::*, session::*};
use tcpscope::wire;
static STATE: Hook = Hook {
    name: "state",
    rungs: &[Rung {
        kind: RungKind::Tracepoint,
        program: "state_tracepoint",
        target: "inet_sock_set_state",
    }],
    required: true,
};
static SEND: Hook = Hook {
    name: "send",
    rungs: &[Rung {
        kind: RungKind::Tracepoint,
        program: "send_tracepoint",
        target: "sock_send_length",
    }],
    required: true,
};
static RECV: Hook = Hook {
    name: "recv",
    rungs: &[Rung {
        kind: RungKind::Tracepoint,
        program: "recv_tracepoint",
        target: "sock_recv_length",
    }],
    required: true,
};
static OWN: Hook = Hook {
    name: "own",
    rungs: &[Rung { kind: RungKind::Iterator, program: "learn_owners", target: "task_file" }],
    required: true,
};
fn main() {
    let t = std::time::Instant::now();
    let f = Facts::read(
        &["inet_sock_set_state", "sock_send_length", "sock_recv_length"],
        &["task_file", "tcp"],
    )
    .unwrap();
    eprintln!("facts {:?}", t.elapsed());
    let p = Plan::decide("tcpstates", &[&STATE, &SEND, &RECV, &OWN], &f, None).unwrap();
    let mut o = wire::Options::zeroed();
    o.wake_bytes = 1 << 18;
    let s = Session::start(
        p,
        &f,
        &Setup {
            object: include_bytes!(concat!(env!("OUT_DIR"), "/tcpstates.bpf.o")),
            filter: wire::Filter::zeroed(),
            options: o,
            map_sizes: vec![],
            verbose: std::env::args().len() > 1,
        },
    )
    .unwrap();
    eprintln!("started {:?}", t.elapsed());
    s.iterate("learn_owners", 1, |_| {}).unwrap();
    eprintln!("learned {:?} {:?}", t.elapsed(), s.stats());
    eprintln!(
        "{}",
        std::fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS"))
            .collect::<Vec<_>>()
            .join(" ")
    );
}
