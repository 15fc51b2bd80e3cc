"""What a label-free reward can give here, before anything is trained."""
