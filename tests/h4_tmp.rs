use jitney::stream::ColumnType;
use jitney::tasks::polars::row_id::RowId;
use polars::prelude::*;
#[test]
fn speed() {
    let n = 16_000i64;
    let ints = |m: i64| (0..n).map(|i| if i % 30 == 0 { None } else { Some(i * 7919 % m) }).collect::<Vec<_>>();
    let ts = |o: i64| Series::new("".into(), (0..n).map(|i| 1_585_701_842_000_000 + (i * 97 + o) * 1_000_000).collect::<Vec<_>>()).cast(&DataType::Datetime(TimeUnit::Microseconds, None)).unwrap();
    let fl = |m: i64| (0..n).map(|i| (i * 7919 % m) as f64 / 100.0).collect::<Vec<_>>();
    let cols: Vec<Column> = vec![
        Series::new("v".into(), ints(3)).into_column(),
        ts(0).with_name("p".into()).into_column(), ts(600).with_name("d".into()).into_column(),
        Series::new("pu".into(), ints(265)).into_column(), Series::new("do".into(), ints(265)).into_column(),
        Series::new("fare".into(), fl(9000)).into_column(), Series::new("dist".into(), fl(3000)).into_column(),
    ];
    let frame = DataFrame::new(n as usize, cols).unwrap();
    let kinds = [("v", ColumnType::Int(32)), ("p", ColumnType::Timestamp), ("d", ColumnType::Timestamp), ("pu", ColumnType::Int(32)), ("do", ColumnType::Int(32)), ("fare", ColumnType::Float), ("dist", ColumnType::Float)];
    let id = RowId { columns: kinds.iter().map(|(n, k)| (n.to_string(), *k)).collect(), name: "id".into() };
    for _ in 0..3 {
    let t = std::time::Instant::now();
    let mut h = 0;
    for _ in 0..250 { h += id.column(&frame).unwrap().len(); }
    eprintln!("{h} rows {:?}", t.elapsed());
    }
}
