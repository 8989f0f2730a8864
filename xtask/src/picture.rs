//! The pictures of the docs: views of the dashboard on the demonstration's recording, as SVG.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use tcpscope::dash::replay::{Lines, Player};
use tcpscope::dash::view::{self, Palette, Theme};
use tcpscope::dash::{Control, Dash, Event, KeyPress, TOOL, View, demo};
use tcpscope::report::Ctx;

/// Columns and lines of the screen, and pixels of a cell.
const SIZE: (u16, u16) = (120, 36);
const CELL: (f64, f64) = (8.4, 17.0);
/// The moment of the recording that is shown, seconds: a wave of requests is on.
const SECOND: i64 = 24;

/// What is drawn: the end of the file's name, the view, and the keys that are pressed in it.
const PICTURES: [(&str, View, &[KeyPress]); 9] = [
    ("", View::Overview, &[]),
    ("-finding", View::Overview, &[KeyPress::Enter]),
    ("-processes", View::Processes, &[]),
    ("-connections", View::Connections, &[]),
    ("-latency", View::Latency, &[]),
    ("-states", View::States, &[]),
    ("-listeners", View::Listeners, &[KeyPress::Enter]),
    ("-tool", View::Tool, &[]),
    ("-remotes", View::Remotes, &[]),
];

/// Writes all pictures into a folder.
pub fn draw_all(folder: &Path) -> Result<()> {
    let recording = demo::recording()?;
    let mut player = Player::new(Lines::new(Box::new(std::io::Cursor::new(recording))))?;
    let mut dash = Dash::new("demo".to_owned(), false);
    for event in player.control(Control::Seek(SECOND * 1_000_000_000))? {
        dash.handle(event);
    }
    dash.handle(Event::Progress(player.progress().clone()));
    dash.handle(Event::Resize(SIZE.0, SIZE.1));
    for (name, view, keys) in PICTURES {
        let mut dash = dash.clone();
        dash.show(view);
        dash.refresh();
        for key in keys {
            dash.handle(Event::Key(*key));
            dash.refresh();
        }
        let mut screen = Buffer::empty(Rect::new(0, 0, SIZE.0, SIZE.1));
        let theme = Theme { palette: Palette::Sixteen, ascii: false };
        view::draw(&dash, theme, &mut Ctx::new(0, true), &mut screen);
        let path = folder.join(format!("{}{name}.svg", TOOL.name));
        fs::write(&path, svg(&screen)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn svg(screen: &Buffer) -> Result<String> {
    let (width, height) = (f64::from(SIZE.0) * CELL.0, f64::from(SIZE.1) * CELL.1);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-8 -8 {} {}\" font-family=\"DejaVu \
         Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect x=\"-8\" y=\"-8\" width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#1d2021\"/>\n",
        width + 16.0,
        height + 16.0
    );
    for (y, line) in (0u16..).zip(screen.content().chunks(usize::from(SIZE.0))) {
        let mut x = 0u16;
        for run in line.chunk_by(|a, b| style(a) == style(b)) {
            let text: String = run.iter().map(Cell::symbol).collect();
            let columns = u16::try_from(run.len())?;
            let (fill, ground, weight) = style(&run[0]);
            let left = f64::from(x) * CELL.0;
            let (top, length) = (f64::from(y) * CELL.1, f64::from(columns) * CELL.0);
            if ground {
                writeln!(
                    out,
                    "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{}\" fill=\"#d5c4a1\"/>",
                    CELL.1
                )?;
            }
            if !text.trim().is_empty() {
                let text = text.replace('&', "&amp;").replace('<', "&lt;");
                writeln!(
                    out,
                    "<text x=\"{left:.1}\" y=\"{:.1}\" fill=\"{fill}\" font-weight=\"{weight}\" textLength=\"{length:.1}\" xml:space=\"preserve\">{text}</text>",
                    top + 13.0
                )?;
            }
            x += columns;
        }
    }
    Ok(out + "</svg>\n")
}

/// Colour, whether it is reversed, and weight.
fn style(cell: &Cell) -> (&'static str, bool, &'static str) {
    let reversed = cell.modifier.contains(Modifier::REVERSED);
    let weight = if cell.modifier.contains(Modifier::BOLD) { "bold" } else { "normal" };
    let colour = match cell.fg {
        _ if reversed => "#1d2021",
        Color::Red => "#fb4934",
        Color::Green => "#b8bb26",
        Color::LightBlue => "#83a598",
        Color::LightMagenta => "#b16286",
        Color::Magenta => "#d3869b",
        Color::Cyan => "#8ec07c",
        _ if cell.modifier.contains(Modifier::DIM) => "#928374",
        _ => "#ebdbb2",
    };
    (colour, reversed, weight)
}
