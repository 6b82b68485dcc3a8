//! Expositions: the text formats in which targets say what they measure.
