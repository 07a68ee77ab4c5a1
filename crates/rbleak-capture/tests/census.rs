//! The census: named containers with their sizes, cheap and without a trace.

#![allow(clippy::unwrap_used, reason = "a test ends by it")]

mod common;

use std::path::Path;

use common::{PUMA, Place, boot, leaky};
use rbleak_capture::{App, Container, Launch, Mode};

/// A container under every kind of name, all larger than what is left out.
const NAMED: &str = r#"
require 'set'
class Registry
  def initialize
    @cache = { few: 1 }
    20.times { |i| @cache[i] = i }
    @small = [1] * 7
  end
end
class Listing < Array; end
module Named
  LIST = [1] * 10
  SMALL = [1] * 7
  TEXT = 'x' * 5000
  SHORT = 'x' * 4095
  SET = Set.new(1..30)
  BELOW = Listing.new([1] * 11)
  REGISTRY = Registry.new
  HIDDEN = [1] * 12
  HIDDEN_REGISTRY = Registry.new
  private_constant :HIDDEN, :HIDDEN_REGISTRY
  @map = (1..13).to_h { |i| [i, i] }
  @registry = Registry.new
  @@all = [1] * 14
end
$named = [1] * 15
Thread.current[:named] = [1] * 16
Thread.current.thread_variable_set(:named_too, [1] * 17)
class Nosy < Array
  def length
    raise 'code of the app ran'
  end
  alias size length
end
NOSY = Nosy.new([1] * 18)
class Bare < BasicObject
  def initialize
    @inside = [1] * 19
  end
end
BARE = Bare.new
"#;

fn find<'a>(census: &'a [Container], name: &str) -> Option<&'a Container> {
    census.iter().find(|container| container.name == name)
}

#[test]
fn every_kind_of_name_is_told() {
    let place = Place::new(&[("lib.rb", NAMED)]);
    let mut app = boot(place.code(Some("lib.rb"), "1"));
    let census = app.census().unwrap();
    let told = |name| {
        let container = find(&census, name)?;
        assert_ne!(container.address.0, 0);
        Some((container.class.as_str(), container.size))
    };
    assert_eq!(told("Named::LIST"), Some(("Array", 10)));
    assert_eq!(told("Named::TEXT"), Some(("String", 5000)));
    assert_eq!(told("Named::SET"), Some(("Set", 30)));
    assert_eq!(told("Named::BELOW"), Some(("Listing", 11)));
    assert_eq!(told("Named::REGISTRY@cache"), Some(("Hash", 21)));
    assert_eq!(told("Named::HIDDEN"), Some(("Array", 12)));
    assert_eq!(told("Named::HIDDEN_REGISTRY@cache"), Some(("Hash", 21)));
    assert_eq!(told("Named@map"), Some(("Hash", 13)));
    assert_eq!(told("Named@registry@cache"), Some(("Hash", 21)));
    assert_eq!(told("Named@@all"), Some(("Array", 14)));
    assert_eq!(told("$named"), Some(("Array", 15)));
    assert_eq!(told("Thread.current[:named]"), Some(("Array", 16)));
    assert_eq!(told("Thread.current[:named_too]"), Some(("Array", 17)));
    assert_eq!(told("NOSY"), Some(("Nosy", 18)));
    assert_eq!(told("BARE@inside"), Some(("Array", 19)));
    assert_eq!(told("$LOADED_FEATURES").unwrap().0, "Array");
    for small in ["Named::SMALL", "Named::SHORT", "Named::REGISTRY@small"] {
        assert_eq!(told(small), None, "{small}");
    }
    assert!(census.iter().all(|c| !c.name.contains("RbleakAgent")));
    app.stop().unwrap();
}

/// What was private and empty at first shows once it has grown.
#[test]
fn two_censuses_tell_what_grows() {
    for (path, name) in [("/leak", "Leaky::STORE"), ("/hide", "Leaky::HIDDEN")] {
        let place = leaky();
        for launch in [place.in_process(path), place.server(PUMA, path)] {
            let mut app = boot(launch);
            app.run(100).unwrap();
            let one = app.census().unwrap();
            app.run(100).unwrap();
            let other = app.census().unwrap();
            let (one, other) = (find(&one, name).unwrap(), find(&other, name).unwrap());
            // In server mode the boot has sent a request of its own.
            assert!(one.size >= 100, "{one:?}");
            assert_eq!(other.size, one.size + 100);
            assert_eq!(other.address, one.address);
            app.stop().unwrap();
        }
    }
}

/// The app itself has no name in Ruby when config.ru makes it on the spot.
#[test]
fn what_the_rack_app_keeps_is_told() {
    let rackup = "class Counting
          def initialize
            @seen = []
          end

          def call(env)
            @seen << env['PATH_INFO']
            [200, {}, []]
          end
        end
        run Counting.new";
    let place = Place::new(&[("config.ru", rackup)]);
    let mut app = boot(place.in_process("/"));
    app.run(20).unwrap();
    let census = app.census().unwrap();
    assert_eq!(find(&census, "(Rack app)@seen").unwrap().size, 20);
    app.stop().unwrap();
}

/// Samples with a census between them.
fn leaves_no_trace(app: &mut App) {
    app.census().unwrap();
    let live: Vec<i64> = (0..6)
        .map(|_| {
            let live = app.sample().unwrap().live_slots.0 as i64;
            app.census().unwrap();
            live
        })
        .collect();
    eprintln!("around censuses: {live:?}");
    // A timer of the app's may come between two of them; what a census leaves, each
    // of them leaves.
    let mut steps: Vec<i64> = live.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.sort_unstable();
    assert!(steps[steps.len() / 2] <= 1, "{live:?}");
}

#[test]
fn a_census_leaves_no_trace() {
    let place = leaky();
    for launch in [place.in_process("/clean"), place.server(PUMA, "/clean")] {
        let mut app = boot(launch);
        app.run(50).unwrap();
        leaves_no_trace(&mut app);
        app.stop().unwrap();
    }
}

#[test]
fn a_census_of_rails_leaves_no_trace() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rbleak/tests/apps/rails61");
    let place = Place::new(&[]);
    let mode = Mode::InProcess {
        rackup: "config.ru".into(),
    };
    let log = place.directory.path().join("app.log");
    let mut launch = Launch::new(directory, mode, log);
    launch.inherited = common::inherited();
    launch.requests = vec![rbleak_capture::Request::get("/clean")];
    let mut app = boot(launch);
    app.run(20).unwrap();
    for _ in 0..3 {
        let census = app.census().unwrap();
        assert!(census.len() > 50, "{}", census.len());
    }
    leaves_no_trace(&mut app);
    app.stop().unwrap();
}
