//! What is drawn, in ASCII: for terminals and fonts without more.

use ratatui::buffer::Buffer;

/// Replaces what is not ASCII by what is like it.
pub fn replace(screen: &mut Buffer) {
    for cell in &mut screen.content {
        if !cell.symbol().is_ascii() {
            let c = cell.symbol().chars().next().map_or('?', like);
            cell.set_char(c);
        }
    }
}

fn like(c: char) -> char {
    match c {
        'µ' => 'u',
        '≥' | '→' | '›' => '>',
        '←' => '<',
        '×' => 'x',
        '↑' | '▲' => '^',
        '↓' | '▼' => 'v',
        '…' => '~',
        '·' | '─' | '▄' => '-',
        '│' => '|',
        '└' | '┌' | '┐' | '┘' | '├' | '▒' | '▆' => '+',
        '▁' => '_',
        '▂' | '░' => '.',
        '▃' => ':',
        '▅' | '▓' => '=',
        '▇' | '\u{2800}'..='\u{28ff}' => '*',
        '█' => '#',
        '▞' => '/',
        _ => '?',
    }
}
