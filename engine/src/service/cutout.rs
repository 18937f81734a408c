//! Cuts subjects out: finds the house's net and keeps it in memory.

use std::sync::Arc;

use super::studio::{Resident, ResidentKey, Studio, mixed_up};
use crate::error::EngineError;
use crate::library::HOUSE_SEGMENTER;
use crate::pipelines::cutout::{self, CutOutPipeline};
use crate::pipelines::pictures;
use crate::protocol::{CutOutOutput, CutOutRequest, JobContext, Live, Stage};

impl Studio {
    /// Cuts the subject out of a picture.
    pub(super) fn cut_out(
        &mut self,
        request: &CutOutRequest,
        job: &JobContext,
    ) -> Result<CutOutOutput, EngineError> {
        if let Some(prompt) = &request.object {
            return self.cut_out_object(request, prompt, job);
        }
        job.report(Live { stage: Stage::Loading, ..Live::default() })?;
        let file = self.models.locate_segmenter()?.open(&mut || job.check())?;
        let config = cutout::config(file.weights.path(), &file.config_json)?;
        let picture = pictures::open(&request.picture.path)?;
        job.check()?;
        // Weights of 16 bits are twice as large in memory, in the form for fewer products 16/9 of that.
        let bytes = file.bytes.saturating_mul(4);
        let needed = bytes.saturating_add(cutout::memory_bytes(&config));
        self.check_room(HOUSE_SEGMENTER, needed)?;
        let (device, precision) = (self.device(request.device), request.precision);
        let key = ResidentKey {
            name: HOUSE_SEGMENTER.to_owned(),
            sha256: file.sha256.clone(),
            texts_hash: file.texts_hash(),
            device,
            precision,
        };
        let resident = self.residents.get_or_load(key, bytes, || {
            CutOutPipeline::load(&file.weights, &file.config_json, (device, precision), job)
                .map(|pipeline| Resident::CutOut(Box::new(pipeline)))
        })?;
        let Resident::CutOut(pipeline) = resident else { return Err(mixed_up()) };
        let made = pipeline.cut_out(picture, job)?;
        Ok(CutOutOutput {
            pixels: Arc::new(made.pixels),
            subject_share: made.subject_share,
            licence: file.licence,
            object: None,
            notices: self.notices(String::new(), file.sha256).collect(),
        })
    }
}
