"""How well earshot hears: sound of known content goes through the detector and the segmenter."""
