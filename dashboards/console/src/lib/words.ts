/** Small words of set up. */

/** The classes that a zone can have. */
export const ZONE_CLASSES = ['market', 'old_residential', 'dense', 'street', 'school', 'scenic', 'village'];

/** A list as people type it: parted by commas of either language, or by blanks. */
export const listed = (text: string): string[] => text.split(/[,，\s]+/).filter(Boolean);
