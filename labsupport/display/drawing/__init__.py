"""What every picture is drawn with: colours, marks, text, figures."""
