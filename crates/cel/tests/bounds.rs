//! What hostile expressions cannot do: panic, overflow a small stack, take long or fill the memory.

use std::time::{Duration, Instant};

use cel::{Env, EvalError, PER_CALL_LIMIT, Type, Vars};

/// On a stack as small as a server's worker has.
fn on_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).expect("a thread").join().expect("no panic")
}

fn run(source: &str) -> Result<String, String> {
    let program = Env::relaxed().variable("x", Type::Dyn).compile(source).map_err(|e| e.to_string())?;
    let outcome = program.evaluate(&Vars::new(), PER_CALL_LIMIT);
    outcome.value.map(|v| v.as_bool().map_or_else(|| "a value".to_owned(), |b| b.to_string())).map_err(|e| e.to_string())
}

#[test]
fn deep_expressions_are_refused_or_evaluated() {
    on_small_stack(|| {
        for depth in [10, 200, 249, 250, 5000, 40_000] {
            let shapes = [
                format!("{}1{}", "(".repeat(depth), ")".repeat(depth)),
                format!("{}1{}", "[".repeat(depth), "]".repeat(depth)),
                "!".repeat(depth) + "true",
                "-".repeat(depth) + "1",
                vec!["1"; depth].join("+"),
                vec!["true"; depth].join("&&"),
                vec!["1"; depth].join("=="),
                format!("x{}", ".a".repeat(depth)),
                format!("x{}", "[0]".repeat(depth)),
                format!("{}1{}", "true ? ".repeat(depth), " : 2".repeat(depth)),
                "{1: ".repeat(depth) + "1" + &"}".repeat(depth),
                "[1].all(y, ".repeat(depth) + "true" + &")".repeat(depth),
                format!("{}1{}", "(1+".repeat(depth), ")".repeat(depth)),
                format!("{}{}", "(".repeat(depth), ["1"; 3].join(")+") + &")+1".repeat(depth)),
            ];
            for shape in shapes {
                let _ = run(&shape);
            }
        }
        assert_eq!(run(&vec!["true"; 5000].join(" && ")), Ok("true".into()));
        assert!(run(&vec!["1"; 300].join("+")).unwrap_err().contains("max recursion depth exceeded"));
        assert!(run(&format!("{}1{}", "(".repeat(250), ")".repeat(250))).unwrap_err().contains("expression recursion limit exceeded: 250"));
        assert_eq!(run(&format!("{}true{}", "(".repeat(249), ")".repeat(249))), Ok("true".into()));
        assert_eq!(run(&format!("1{} > 0", "+1".repeat(249))), Ok("true".into()));
    });
}

#[test]
fn chains_within_chains_stay_shallow() {
    on_small_stack(|| {
        let mut source = "1".to_owned();
        for _ in 0..100 {
            source = format!("({source}){}", "+1".repeat(200));
        }
        assert!(run(&source).unwrap_err().contains("recursion depth"));
    });
}

#[test]
fn nothing_grows_beyond_bounds() {
    let began = Instant::now();
    let hostile = [
        // Doubling lists.
        format!("[1]{}.size() > 0", ".map(v, [v, v])".repeat(60)),
        format!("[[1]]{}.size() > 0", ".map(v, v + v)".repeat(60)),
        format!("cel.bind(a, [1], {}a.size() > 0{})", "cel.bind(a, a + a, ".repeat(60), ")".repeat(60)),
        // Doubling types and comparisons of doubled values.
        format!("[1]{} == [1]{}", ".map(v, {v: v})".repeat(40), ".map(v, {v: v})".repeat(40)),
        format!("[1]{} == [1]{}", ".map(v, [v, v])".repeat(40), ".map(v, [v, v])".repeat(40)),
        format!("dyn([1]){} == dyn([1]){}", ".map(v, [v, v])".repeat(40), ".map(v, [v, v])".repeat(40)),
        // Doubling strings.
        format!("cel.bind(a, 'aaaaaaaaaaaaaaaa', {}a == ''{})", "cel.bind(a, a + a, ".repeat(60), ")".repeat(60)),
        format!("'a'{}", ".replace('', 'aaaaaaaaaaaaaaaa')".repeat(60)),
        "lists.range(1000000000)".to_owned(),
        "lists.range(1000).map(a, lists.range(1000).map(b, lists.range(1000)))".to_owned(),
        format!("optional.of(1){}.hasValue()", ".optMap(v, v + 1)".repeat(100)),
        format!("'{}'.matches('(a*)*(a*)*(a*)*b')", "a".repeat(20_000)),
        "'%.1000f %.1000f'.format([1.5, 2.5])".to_owned(),
        "'x'.matches('((((a{100}){100}){100}){100})')".to_owned(),
        "string(duration('99999999999h'))".to_owned(),
        "9223372036854775807 + 1".to_owned(),
        "-9223372036854775808 / -1".to_owned(),
        "-9223372036854775808 % -1".to_owned(),
        "timestamp('9999-12-31T23:59:59Z') + duration('1s')".to_owned(),
        "timestamp(0).getHours('99999999999999999999:99')".to_owned(),
        "timestamp(0).getHours('-9223372036854775808:00')".to_owned(),
        "'abc'.substring(-1, 9223372036854775807)".to_owned(),
        "[1, 2].slice(0, 9223372036854775807)".to_owned(),
    ];
    for source in &hostile {
        let _ = run(source);
    }
    assert!(began.elapsed() < Duration::from_secs(60), "took {:?}", began.elapsed());
}

#[test]
fn the_budget_ends_an_evaluation() {
    let program = Env::kubernetes().compile("lists.range(100000).all(x, x >= 0 || true)").unwrap();
    let outcome = program.evaluate(&Vars::new(), 1000);
    assert_eq!(outcome.value.unwrap_err(), EvalError::CostExceeded);
    assert_eq!(EvalError::CostExceeded.to_string(), "operation cancelled: actual cost limit exceeded");
}

/// Pieces of syntax thrown together: whatever comes of it, no panic.
#[test]
fn random_expressions_never_panic() {
    let pieces = [
        "x", "1", "2u", "1.5", "'a'", "b'a'", "true", "null", "[", "]", "{", "}", "(", ")", ".", ",", ":", "?", "!", "-", "+", "*", "/", "%", "==", "<", "&&", "||", " in ", "size", "has", ".map(v,", ".all(k, v,", ".?a",
        "[?0]", "'%s'.format(", "duration('1h')", "timestamp(0)", "\"", "'''", "\\", "r'", "0x", "1e", "..", "\u{e9}", "\u{1f600}", "/*", "//", "`a`", "=", "&", ".sortBy(e,", ".optMap(e,", "optional.of(", "quantity(", "cel.bind(q,",
    ];
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |bound: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % bound as u64) as usize
    };
    for _ in 0..20_000 {
        let source: String = (0..1 + next(14)).map(|_| pieces[next(pieces.len())]).collect();
        let _ = run(&source);
    }
}
