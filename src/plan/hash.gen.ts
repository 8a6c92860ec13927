// Made by scripts/generate.mjs from src/plan/vocabulary.ts; do not edit.
/** Both sides compare this before step 0: an addon and a tsrun of different builds refuse each other's plans. */
export const vocabularyHash = 0x31238124;
