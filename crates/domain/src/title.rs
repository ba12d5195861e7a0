//! What people read, in both languages of the product.

/// The same words in English and in Chinese.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title {
    pub en: String,
    pub zh: String,
}
