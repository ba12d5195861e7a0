//! What sanimon can decode, for the API and for tables of devices.

use sanimon_api::{KnownModels, ModelInfo};
use sanimon_codec::device;
use sanimon_codec::script::Script;

/// Where a codec of the configuration stands among vendors.
const CONFIGURED: &str = "configuration";

/// The models that are built in, and the codecs of the configuration.
pub(crate) fn known(scripts: &[Script]) -> KnownModels {
    let built_in = device::models().map(|model| ModelInfo {
        vendor: model.vendor.to_owned(),
        name: model.name.to_owned(),
        measures: model.measures().into_iter().map(str::to_owned).collect(),
    });
    let configured = scripts.iter().map(|script| ModelInfo {
        vendor: CONFIGURED.to_owned(),
        name: script.model.to_string(),
        measures: script.map.iter().map(|mapping| mapping.to.to_string()).collect(),
    });
    let mut models: Vec<ModelInfo> = built_in.chain(configured).collect();
    models.sort_by(|a, b| (&a.vendor, &a.name).cmp(&(&b.vendor, &b.name)));
    KnownModels(models)
}
