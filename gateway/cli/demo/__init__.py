"""`countersign demo`: the main job on a real PDF, from sending to the proof, on one machine."""
