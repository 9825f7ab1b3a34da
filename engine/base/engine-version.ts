/** The version that clients are told; the same as package.json's, which a test compares. */
export const engineVersion = '0.1.0'
