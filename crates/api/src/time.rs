//! Times as the API writes them.

use jiff::Timestamp;

/// `metav1.Time`: seconds, UTC, `2026-01-02T03:04:05Z`.
pub fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `metav1.MicroTime`.
pub fn rfc3339_micro(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Reads either form.
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Age as the tables print it. Upstream: `duration.HumanDuration` in apimachinery `pkg/util/duration`.
pub fn human_duration(seconds: i64) -> String {
    if seconds < -1 {
        return "<invalid>".into();
    }
    let (s, m, h) = (seconds.max(0), seconds / 60, seconds / 3600);
    match s {
        0..120 => format!("{s}s"),
        120..600 => two(m, "m", s % 60, "s"),
        600..10_800 => format!("{m}m"),
        10_800..28_800 => two(h, "h", m % 60, "m"),
        28_800..172_800 => format!("{h}h"),
        172_800..691_200 => two(h / 24, "d", h % 24, "h"),
        691_200..63_072_000 => format!("{}d", h / 24),
        63_072_000..252_288_000 => two(h / 24 / 365, "y", (h / 24) % 365, "d"),
        _ => format!("{}y", h / 24 / 365),
    }
}

fn two(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 { format!("{large}{large_unit}") } else { format!("{large}{large_unit}{small}{small_unit}") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn human_duration_steps() {
        let shown: Vec<_> = [0, 119, 120, 185, 600, 10_800, 11_000, 28_800, 172_800, 180_000, 691_200, 63_072_000]
            .iter()
            .map(|s| super::human_duration(*s))
            .collect();
        assert_eq!(shown, ["0s", "119s", "2m", "3m5s", "10m", "3h", "3h3m", "8h", "2d", "2d2h", "8d", "2y"]);
    }
}
