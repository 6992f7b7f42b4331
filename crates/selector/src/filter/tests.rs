use super::*;

/// The services of the recorded cases (go-micro v2.9.1, `selector/filter.go`).
fn services() -> [Service; 3] {
    let node = |id: &str| Node::new(id, "");
    let one = Service::new("s", "1")
        .with_endpoint(Endpoint::new("A.B"))
        .with_node(node("a").with_metadata("z", "1"))
        .with_node(node("b").with_metadata("z", "2"))
        .with_node(node("c"));
    let two = Service::new("s", "2")
        .with_endpoint(Endpoint::new("A.B"))
        .with_endpoint(Endpoint::new("C.D"))
        .with_node(node("d").with_metadata("y", "").with_metadata("z", "1"));
    [one, two, Service::new("s", "").with_node(node("e"))]
}

/// `version: node node; version: …`
fn left(filters: &[Filter], services: &[Service]) -> String {
    let ids = |nodes: &[Node]| {
        nodes
            .iter()
            .map(|node| format!(" {}", node.id))
            .collect::<String>()
    };
    let line = |service: Service| format!("{}:{}", service.version, ids(&service.nodes));
    let lines: Vec<_> = Filter::apply(filters, services)
        .into_iter()
        .map(line)
        .collect();
    lines.join("; ")
}

#[test]
fn each_filter_leaves_what_go_micro_leaves() {
    let cases = [
        (Filter::version("1"), "1: a b c"),
        (Filter::version(""), ": e"),
        (Filter::version("9"), ""),
        (Filter::endpoint("a.b"), ""),
        (Filter::endpoint("A.B"), "1: a b c; 2: d"),
        (Filter::endpoint("C.D"), "2: d"),
        (Filter::label("z", "9"), ""),
        (Filter::label("z", "1"), "1: a; 2: d"),
    ];
    for (filter, expected) in cases {
        assert_eq!(
            left(std::slice::from_ref(&filter), &services()),
            expected,
            "{filter:?}"
        );
    }
}

/// go-micro leaves `e` too, whose metadata is an empty map and not nil: a difference that is lost
/// here.
#[test]
fn a_missing_label_is_empty_except_where_there_is_no_metadata_at_all() {
    assert_eq!(
        left(&[Filter::label("missing", "")], &services()),
        "1: a b; 2: d"
    );
    assert_eq!(left(&[Filter::label("y", "")], &services()), "1: a b; 2: d");
}

#[test]
fn filters_by_service_keep_one_that_has_no_nodes_and_filters_by_node_do_not() {
    let empty = [Service::new("s", "1").with_endpoint(Endpoint::new("A.B"))];
    let by_service = [Filter::version("1"), Filter::endpoint("A.B")];
    assert_eq!(left(&by_service, &empty), "1:");
    assert_eq!(left(&[Filter::label("missing", "")], &empty), "");
    assert_eq!(left(&[Filter::custom("all", |_, _| true)], &empty), "");
    assert_eq!(left(&[], &empty), "1:");
}

#[test]
fn several_filters_leave_what_each_of_them_leaves() {
    let both = [Filter::label("z", "1"), Filter::endpoint("C.D")];
    assert_eq!(left(&both, &services()), "2: d");
    assert_eq!(
        left(&[Filter::version("1"), Filter::version("2")], &services()),
        ""
    );
}

#[test]
fn a_custom_filter_sees_the_node_and_its_service() {
    let filter = Filter::custom("d of C.D", |service, node| {
        let offers = service
            .endpoints()
            .iter()
            .any(|endpoint| endpoint.name == "C.D");
        offers && service.name() == "s" && service.metadata().is_empty() && node.id == "d"
    });
    assert_eq!(left(std::slice::from_ref(&filter), &services()), "2: d");
    assert_eq!(format!("{filter:?}"), "Filter(Custom(d of C.D))");
}

#[test]
fn a_custom_filter_is_equal_to_its_clones_alone() {
    let all = || Filter::custom("all", |_, _| true);
    let one = all();
    assert_eq!(one, one.clone());
    assert_ne!(one, all());
    assert_eq!(Filter::label("a", "b"), Filter::label("a", "b"));
}
