//! Cuts out what is pointed at: finds a net of the Segment Anything family, and keeps it in memory with the
//! pictures that it has seen.

use std::sync::Arc;

use super::studio::{Resident, ResidentKey, Studio, mixed_up};
use crate::error::EngineError;
use crate::library::LocatedWeights;
use crate::pipelines::object::{self, ObjectPipeline};
use crate::pipelines::pictures;
use crate::protocol::{
    CutOutOutput, CutOutRequest, FoundObject, JobContext, Live, ObjectPrompt, Stage,
};
use crate::weights::open::Checkpoint;
use crate::weights::segment_anything::SamConfig;

impl Studio {
    /// Cuts out what is pointed at.
    pub(super) fn cut_out_object(
        &mut self,
        request: &CutOutRequest,
        prompt: &ObjectPrompt,
        job: &JobContext,
    ) -> Result<CutOutOutput, EngineError> {
        object::validate(prompt)?;
        job.report(Live { stage: Stage::Loading, ..Live::default() })?;
        let located = self.models.locate_sam(prompt.model.as_deref())?;
        let path = &request.picture.path;
        let picture = LocatedWeights::at(&path.to_string_lossy(), path)?;
        let picture = self.hashes.of(&picture, &mut || job.check())?;
        let sha256 = self.hashes.of(&located, &mut || job.check())?;
        let (device, precision) = (self.device(request.device), request.precision);
        let key = ResidentKey {
            name: located.name.clone(),
            sha256: sha256.clone(),
            texts_hash: 0,
            device,
            precision,
        };
        if !self.residents.has(&key) {
            let file = Checkpoint::open(&located.path)?;
            let config = SamConfig::of(&file)?;
            let needed = object::weight_bytes(&file).saturating_add(object::memory_bytes(&config));
            self.check_room(&located.name, needed)?;
        }
        let resident = self.residents.get_or_load(key, located.bytes.saturating_mul(2), || {
            let file = Checkpoint::open(&located.path)?;
            ObjectPipeline::load(&file, (device, precision), job)
                .map(|pipeline| Resident::Object(Box::new(pipeline)))
        })?;
        let Resident::Object(pipeline) = resident else { return Err(mixed_up()) };
        let made = pipeline.find(&picture, || pictures::open(path), prompt, job)?;
        let licence = pipeline.licence().to_owned();
        Ok(CutOutOutput {
            pixels: Arc::new(made.pixels),
            subject_share: made.share,
            licence,
            object: Some(FoundObject {
                mask: Arc::new(made.mask),
                qualities: made.qualities,
                chosen: made.chosen,
                model: located.name,
            }),
            notices: self.notices(String::new(), sha256).collect(),
        })
    }
}
