//! A photo is decoded and encoded anew: smaller, and without what a phone wrote into it.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

/// Wider or higher photos are made smaller.
const SIDE_MAX: u32 = 1_600;
const QUALITY: u8 = 82;
/// What a photo may have before it is decoded.
const SOURCE_SIDE_MAX: u32 = 12_000;
const DECODE_BYTES_MAX: u64 = 256 << 20;

/// Gives a JPEG; `None`: it is no photo that can be read.
pub(crate) async fn clean(bytes: Vec<u8>) -> Option<Vec<u8>> {
    let cleaned = tokio::task::spawn_blocking(move || encode_anew(&bytes)).await;
    cleaned.ok().flatten()
}

fn encode_anew(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(SOURCE_SIDE_MAX);
    limits.max_image_height = Some(SOURCE_SIDE_MAX);
    limits.max_alloc = Some(DECODE_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    let orientation = decoder.orientation().ok();
    let mut photo = DynamicImage::from_decoder(decoder).ok()?;
    if let Some(orientation) = orientation {
        photo.apply_orientation(orientation);
    }
    if photo.width() > SIDE_MAX || photo.height() > SIDE_MAX {
        photo = photo.thumbnail(SIDE_MAX, SIDE_MAX);
    }
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, QUALITY).encode_image(&photo.to_rgb8()).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_comes_out_smaller_and_as_jpeg_and_anything_else_not_at_all() {
        let large = DynamicImage::new_rgb8(4_000, 1_000);
        let mut png = Cursor::new(Vec::new());
        large.write_to(&mut png, image::ImageFormat::Png).expect("a picture");
        let cleaned = encode_anew(png.get_ref()).expect("a photo");
        assert_eq!(&cleaned[..2], [0xFF, 0xD8]);
        let again = image::load_from_memory(&cleaned).expect("a photo");
        assert_eq!((again.width(), again.height()), (1_600, 400));
        assert!(encode_anew(b"<script>").is_none());
        assert!(encode_anew(&cleaned[..40]).is_none());
    }
}
