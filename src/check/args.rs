//! The command line of tcpscope-check.

use clap::Parser;

use crate::cli::MeasureArgs;

const EXAMPLES: &str = "\
Examples:
  tcpscope-check                   attach this output to a bug report
  tcpscope-check --plan-only       do not load anything into the kernel
  tcpscope-check --attach kprobe   does every tool work with kprobes only?
  tcpscope-check --json | jq -c 'select(.kind == \"tool\") | [.tool, .mode, .starts]'
";

/// Show what works on this machine: the attach method of each hook, missing features and why
#[derive(Parser, Clone, Debug)]
#[command(name = "tcpscope-check", version, after_help = EXAMPLES)]
pub struct Args {
    /// Print JSON Lines instead of text
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Print the libbpf and verifier logs
    #[arg(short, long, help_heading = "Output", conflicts_with = "plan_only")]
    pub verbose: bool,
    /// Show the plan without loading programs
    #[arg(long, help_heading = "Measurement")]
    pub plan_only: bool,
    /// How the tools would measure.
    #[command(flatten)]
    pub measure: MeasureArgs,
}
