//! The command line of tcpscope-check.

use clap::Parser;

use crate::cli::MeasureArgs;

const EXAMPLES: &str = "\
Examples:
  tcpscope-check                  what to put into a bug report
  tcpscope-check --plan-only      without loading anything into the kernel
  tcpscope-check --probe kprobe   could every tool do with kprobes?
  tcpscope-check --json | jq -c 'select(.kind == \"tool\") | [.tool, .mode, .starts]'
";

/// Tell what this machine offers the tools: which way each hook of each tool is served, what is
/// off and why, and which right is missing
#[derive(Parser, Clone, Debug)]
#[command(name = "tcpscope-check", version, after_help = EXAMPLES)]
pub struct Args {
    /// Print JSON Lines instead of text
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Show what libbpf and the verifier say about the programs
    #[arg(short, long, help_heading = "Output", conflicts_with = "plan_only")]
    pub verbose: bool,
    /// Load no programs, only say which would be
    #[arg(long, help_heading = "How it measures")]
    pub plan_only: bool,
    /// How the tools would get at the facts.
    #[command(flatten)]
    pub measure: MeasureArgs,
}
