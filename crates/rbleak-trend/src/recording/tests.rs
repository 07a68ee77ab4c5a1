//! What each format reads as, and what none may make of bad input.

use super::*;
use proptest::prelude::*;

fn recording(text: &str) -> Recording {
    read(text.as_bytes(), &ReadOptions::default()).unwrap()
}

fn sentence(text: &str) -> String {
    let error = read(text.as_bytes(), &ReadOptions::default()).unwrap_err();
    error.to_string()
}

fn samples(text: &str) -> Vec<(f64, u64)> {
    let recording = recording(text);
    assert_eq!(recording.tracks.len(), 1, "{recording:?}");
    let lives = recording.tracks[0].series.lives().flatten();
    lives
        .map(|sample| (sample.at, sample.rss.expect("RSS").0))
        .collect()
}

#[test]
fn what_is_written_is_read() {
    let header = Header {
        started_at: Some("2026-11-23T14:02:11Z".into()),
        command: Some("puma \"x\"".into()),
        every: Some(1.0),
        limit: Some(Bytes(1 << 30)),
    };
    let row = |i: u64, process: &str| Row {
        process: process.into(),
        sample: Sample {
            at: i as f64 / 2.0,
            requests: Some(i as f64 * 3.0),
            life: Some(7),
            rss: Some(Bytes(100 + i)),
            pss: None,
            anonymous: Some(Bytes(50)),
            live_slots: Some(1e5),
            malloc_in_use: Some(Bytes(40 + i)),
        },
        unique: Some(Bytes(30)),
        kinds: vec![("ruby_heap", Bytes(20))],
    };
    let rows: Vec<Row> = (0..6)
        .map(|i| row(i, ["worker 0", "a, \"b\""][i as usize % 2]))
        .collect();
    let ndjson = rows
        .iter()
        .map(Row::to_line)
        .fold(header.to_line(), |all, l| all + &l);
    let csv = rows
        .iter()
        .map(Row::to_csv)
        .fold(CSV_HEADER.to_owned(), |all, l| all + &l);
    let back = recording(&ndjson);
    assert_eq!(back.header, header);
    for back in [back, recording(&csv)] {
        assert_eq!(back.remarks, [""; 0]);
        let names: Vec<&str> = back.tracks.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["worker 0", "a, \"b\""]);
        let first: Vec<Sample> = back.tracks[0].series.lives().flatten().copied().collect();
        assert_eq!(first, [rows[0].sample, rows[2].sample, rows[4].sample]);
    }
}

#[test]
fn a_line_that_was_cut_off_is_left_out() {
    let header = Header::default().to_line();
    let text = format!("{header}{{\"at_seconds\":0,\"rss_bytes\":5}}\n{{\"at_sec");
    assert_eq!(recording(&text).remarks.len(), 1);
    let cut = recording("time,process,rss_kb\n1,a,2\n2,");
    assert_eq!((cut.tracks.len(), cut.remarks.len()), (1, 1));
    assert!(sentence("time,rss_kb\n1\n2,3\n").contains("line 2"));
}

#[test]
fn tables_of_others() {
    assert_eq!(
        samples("time,rss_kb\n0,100\n1.5,200\n"),
        [(0.0, 102_400), (1.5, 204_800)]
    );
    assert_eq!(samples("RSS (MB);Time\n1.5;7\n"), [(7.0, 1_572_864)]);
    assert_eq!(
        samples("timestamp\tmemory\n1000\t2 GB\n"),
        [(1000.0, 2 << 30)]
    );
    let dates = samples("date,rss_bytes\n2026-11-23T14:00:00Z,1\n2026-11-23T15:00:01+01:00,2\n");
    assert_eq!(dates[1].0 - dates[0].0, 1.0);
    let civil = samples("date,rss_bytes\n2026-11-23 14:00:00,1\n2026-11-23 14:01:00,2\n");
    assert_eq!(civil[1].0 - civil[0].0, 60.0);
    let epoch = samples("ts,rss_bytes\n1700000000000,1\n1700000002500,2\n");
    assert_eq!(epoch[1].0 - epoch[0].0, 2.5);
    assert_eq!(samples("0,50000000\n1,60000000\n")[1], (1.0, 60_000_000));
    assert_eq!(samples("elapsed_ms,rss_b\n500,9\n"), [(0.5, 9)]);
}

#[test]
fn a_unit_that_is_not_named_is_guessed_aloud() {
    let guessed = recording("time,rss\n0,120000\n1,121000\n");
    assert!(guessed.remarks[0].contains("kB"), "{:?}", guessed.remarks);
    let options = ReadOptions {
        unit: Some(Unit::Megabytes),
        ..ReadOptions::default()
    };
    let told = read("time,rss\n0,1\n".as_bytes(), &options).unwrap();
    assert_eq!(told.remarks, [""; 0]);
}

#[test]
fn pids_are_lives_or_processes() {
    let restarted = recording("time,pid,rss_kb\n0,1,5\n1,1,6\n2,9,5\n");
    assert_eq!(restarted.tracks.len(), 1);
    assert_eq!(restarted.tracks[0].series.lives().count(), 2);
    let beside = recording("time,pid,rss_kb\n0,1,5\n0,9,6\n1,1,5\n1,9,6\n");
    assert_eq!(beside.tracks.len(), 2);
}

#[test]
fn derailed_s_file() {
    assert_eq!(
        samples("100.5\n\n101\n"),
        [(0.0, 105_381_888), (5.0, 105_906_176)]
    );
}

#[test]
fn prometheus_s_answer() {
    let text = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"__name__":"process_resident_memory_bytes","pod":"web-1"},
         "values":[[1700000000,"100"],[1700000015.5,"200"]]}]}}"#;
    assert_eq!(
        samples(text),
        [(1_700_000_000.0, 100), (1_700_000_015.5, 200)]
    );
    assert_eq!(recording(text).tracks[0].name, "web-1");
    let vector = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    assert!(sentence(vector).contains("query_range"));
    assert!(sentence(r#"{"status":"error","error":"bad query"}"#).contains("bad query"));
    assert!(sentence(&text.replace("\"200\"", "\"NaN\"")).contains("NaN"));
}

#[test]
fn bad_input_is_one_sentence() {
    for (text, words) in [
        ("", "empty"),
        ("\n \n", "empty"),
        ("time,rss_kb\n", "empty"),
        ("{\"schema\":\"rbleak/recording/v1\"}\n", "empty"),
        ("{\"schema\":\"rbleak/recording/v9\"}\n", "v9"),
        ("{\"a\":1}\n", "no recording"),
        ("\u{1}\u{2}\0\n", "no recording"),
        ("time,cpu\n1,2\n", "no column of memory"),
        ("rss_kb,cpu\n1,2\n", "no column of time"),
        ("time,rss_kb\n1,NaN\n", "NaN"),
        ("time,rss_kb\n1,-5\n", "-5"),
        ("time,rss_kb\nsoon,5\n", "soon"),
        ("time,rss_kb\n2,5\n1,5\n", "line 3: the time goes back"),
        ("time,rss_kb\n1,5 MB\n", "another unit"),
        ("time,rss\n1,5 MB\n2,5\n", "another unit"),
        ("5\nNaN\n", "line 2"),
        ("5\nx\n", "line 2"),
        ("5\n6 GB\n", "another unit"),
    ] {
        let sentence = sentence(text);
        assert!(sentence.contains(words), "{text:?}: {sentence}");
        assert!(!sentence.contains('\n'), "{sentence}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "[-0-9a-z.,;:{}\"\\[\\]\n #N]{0,200}") {
        let _ = read(text.as_bytes(), &ReadOptions::default());
    }

    #[test]
    fn no_bytes_make_it_panic(head in prop::sample::select(vec![
        "time,rss_kb\n", "{\"schema\":\"rbleak/recording/v1\"}\n", "", "5\n", CSV_HEADER,
    ]), tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = head.as_bytes().to_vec();
        bytes.extend(tail);
        let _ = read(bytes.as_slice(), &ReadOptions::default());
    }
}
