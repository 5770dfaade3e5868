"""What long work needs: progress that people see, and another try after a fault that passes."""
