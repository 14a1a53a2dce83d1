//! Quantities: the canonical form is canonical, and of the same amount. Blanks around a quantity in JSON do not count.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(canonical) = quantity::canonical(text) {
        assert_eq!(quantity::canonical(&canonical).as_deref(), Ok(canonical.as_str()));
        let (a, b): (quantity::Quantity, quantity::Quantity) = (text.trim().parse().expect("it parsed"), canonical.parse().expect("its own text parses"));
        assert!(a == b, "{text} is not {canonical}");
    }
});
