//! The registry: entries, tables, hardware, calibration.

use super::*;
use crate::{KnownModels, ModelInfo};

pub(super) fn models() -> KnownModels {
    let model = |name: &str| ModelInfo {
        vendor: "milesight".to_owned(),
        name: name.to_owned(),
        measures: vec!["distance_mm".to_owned()],
    };
    KnownModels(vec![model("em310-udl"), model("em400-mud")])
}

const HEAD: &str = "id,name,kind,zone,team,tags,lat,lon,interval_s,gateway,model,hardware_id,empty_mm,full_mm,blind_zone_mm,shape,depth_mm,offset_mm,probe_low_bar,probe_high_bar,volume_l";

impl Api {
    async fn said(&self, method: &str, path: &str, cookie: &str, body: &str) -> (StatusCode, String) {
        let response = self.send(method, path, cookie, body).await;
        (response.status(), text(response).await)
    }
}

#[tokio::test]
async fn a_table_comes_back_as_it_was() {
    let api = Api::new("manager");
    let cookie = api.sign_in().await;
    let (_, before) = api.said("GET", "/api/v1/devices/export", &cookie, "").await;
    let rows = [
        "bin-1,\"Gate, east\",bin,north,team a,market main,31.5,121.25,900,gw-1,em400-mud,24e124136b502217,1200,200,150,0:0 50:30 100:100,,,,,660",
        "drain-1,Elm Street,drain,south,,,,,,,,868508064807354,,,,,2000,100,0,2,",
    ];
    let table = format!("{HEAD}\n{}\n{}\n", rows[0], rows[1]);
    let (status, said) = api.said("POST", "/api/v1/devices/import", &cookie, &table).await;
    assert_eq!((status, said.as_str()), (StatusCode::OK, r#"{"devices":2,"new":2,"known":0}"#));
    let (_, after) = api.said("GET", "/api/v1/devices/export", &cookie, "").await;
    assert_eq!(after, format!("{before}{}\n{}\n", rows[0], rows[1]));
    // And once more, as a whole.
    let (status, _) = api.said("POST", "/api/v1/devices/import", &cookie, &after).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(api.said("GET", "/api/v1/devices/export", &cookie, "").await.1, after);
    let device = api.json(&cookie, "/api/v1/devices/bin-1").await;
    assert_eq!((&device["tags"][1], &device["shape"][1][1]), (&"main".into(), &30.0.into()));
}

#[tokio::test]
async fn a_table_is_entered_as_a_whole_or_not_at_all_and_every_fault_has_its_line_and_column() {
    let api = Api::new("manager");
    let cookie = api.sign_in().await;
    let rows = [
        "b-1,bin,north,,,,,,",
        "b-2,lamp,,,,,,,",
        "b-3,bin,nowhere,,,,,,",
        "b-4,bin,,x,121,,,,",
        "b-5,bin,,31,,,,,",
        "b-6,bin,,,,em999,,,",
        "b-7,bin,,,,,,100,900",
        "b/8,bin,,,,,,,",
        "b-1,bin,,,,,,,",
        "b-9,bin,too,many,cells,in,this,row,of,it",
    ];
    let table = format!("id,kind,zone,lat,lon,model,hardware_id,empty_mm,full_mm\n{}\n", rows.join("\n"));
    let (status, said) = api.said("POST", "/api/v1/devices/import", &cookie, &table).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let places: Vec<(u64, &str)> = said["faults"]
        .as_array()
        .expect("faults")
        .iter()
        .map(|fault| (fault["line"].as_u64().expect("a line"), fault["column"].as_str().expect("a column")))
        .collect();
    let expected = [
        (3, "kind"),
        (4, "zone"),
        (5, "lat"),
        (6, "lat"),
        (7, "model"),
        (8, "empty_mm"),
        (9, "id"),
        (10, "id"),
        (11, ""),
    ];
    assert_eq!(places, expected, "{said}");
    assert_eq!(api.said("GET", "/api/v1/devices/b-1", &cookie, "").await.0, StatusCode::NOT_FOUND);
    for (table, hint) in [
        ("", "missing"),
        ("id,colour\nx,red\n", "colour"),
        ("id,kind\n", "no device"),
        ("id,kind\nx\u{0}y,bin\n", "not allowed"),
    ] {
        let (status, said) = api.said("POST", "/api/v1/devices/import", &cookie, table).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(said.contains(hint), "{table}: {said}");
    }
}

#[tokio::test]
async fn hardware_belongs_to_one_device_and_can_be_replaced() {
    let api = Api::new("manager");
    let cookie = api.sign_in().await;
    let put = |id: &str, hardware: &str| {
        (
            format!("/api/v1/devices/{id}"),
            format!(r#"{{"kind":"bin","model":"EM310-UDL","hardware_id":"{hardware}"}}"#),
        )
    };
    let (path, body) = put("bin-1", "24E124136B502217");
    assert_eq!(api.said("PUT", &path, &cookie, &body).await.0, StatusCode::OK);
    let (path, body) = put("bin-2", "24e124136b502217");
    let (status, said) = api.said("PUT", &path, &cookie, &body).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(said.contains("bin-1"), "{said}");
    // A table's preview says what the table will be refused for.
    let table = "id,kind,hardware_id\nbin-2,bin,24e124136b502217\n";
    for path in ["/api/v1/devices/import?dry_run=true", "/api/v1/devices/import"] {
        let (status, said) = api.said("POST", path, &cookie, table).await;
        assert_eq!(status, StatusCode::CONFLICT, "{path}");
        assert!(said.contains("bin-1"), "{path}: {said}");
    }
    let new = r#"{"hardware_id":"24E124136B500001","model":"em400-mud"}"#;
    let (status, said) = api.said("POST", "/api/v1/devices/bin-1/replace", &cookie, new).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let trust = api.json(&cookie, "/api/v1/devices/bin-1/trust").await;
    assert_eq!(trust["replaced_hardware"][0]["hardware_id"], "24e124136b502217");
    assert_eq!(trust["health"]["reasons"][0], "never_heard");
    // The old one is free.
    let (path, body) = put("bin-2", "24e124136b502217");
    assert_eq!(api.said("PUT", &path, &cookie, &body).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_reading_can_be_waited_for_to_calibrate_by() {
    let api = Api::new("crew");
    let cookie = api.sign_in().await;
    let path = "/api/v1/devices/h-1/calibrate";
    for (body, expected) in [
        (r#"{"point":"half"}"#, StatusCode::BAD_REQUEST),
        (r#"{"point":"empty","take":"first"}"#, StatusCode::BAD_REQUEST),
        (r#"{"point":"empty","take":"last"}"#, StatusCode::CONFLICT),
        (r#"{"point":"empty"}"#, StatusCode::OK),
    ] {
        assert_eq!(api.said("POST", path, &cookie, body).await.0, expected, "{body}");
    }
    assert_eq!(api.json(&cookie, "/api/v1/devices/h-1").await["calibrate_next"], "empty");
    assert_eq!(api.said("DELETE", path, &cookie, "").await.0, StatusCode::OK);
    assert!(api.json(&cookie, "/api/v1/devices/h-1").await["calibrate_next"].is_null());
}

#[tokio::test]
async fn the_health_of_a_device_is_its_silence_measured_in_its_own_interval() {
    let api = Api::new("manager");
    let cookie = api.sign_in().await;
    // The history ends 10 minutes before now.
    for (interval_s, state) in [(3_600, "online"), (350, "late"), (180, "silent")] {
        let body = format!(r#"{{"kind":"bin","interval_s":{interval_s}}}"#);
        assert_eq!(api.said("PUT", "/api/v1/devices/h-1", &cookie, &body).await.0, StatusCode::OK);
        assert_eq!(api.json(&cookie, "/api/v1/devices/h-1").await["health"]["state"], state, "{interval_s}");
    }
    let silent = api.json(&cookie, "/api/v1/devices?health=silent").await;
    assert_eq!(silent["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(api.json(&cookie, "/api/v1/models").await[1]["name"], "em400-mud");
}

#[tokio::test]
async fn measures_are_told_by_zone_and_as_a_table_and_only_beside_a_time_that_was() {
    let api = Api::new("viewer");
    let cookie = api.sign_in().await;
    let answer = api.json(&cookie, "/api/v1/measures?group_by=zone").await;
    let groups: Vec<_> =
        answer["groups"].as_array().expect("groups").iter().map(|g| g["group"].clone()).collect();
    assert_eq!(groups, [serde_json::Value::Null, "north".into(), "south".into()]);
    let north = &answer["groups"][1];
    assert_eq!((&north["score"], &north["now"]["overflow_h"]), (&100.0.into(), &0.0.into()));
    assert!(north["before"].is_null(), "the site is younger than two spans: {north}");
    assert_eq!(answer["all"]["devices"], 3);
    let (status, table) = api.said("GET", "/api/v1/measures?format=csv", &cookie, "").await;
    assert_eq!(status, StatusCode::OK);
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines.len() == 5 && lines[0].starts_with("group,devices,score") && lines[4].starts_with("*,3,100"),
        "{table}"
    );
    let (status, _) = api.said("GET", "/api/v1/measures?group_by=colour", &cookie, "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
