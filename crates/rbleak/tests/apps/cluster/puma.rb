# frozen_string_literal: true

workers 3
threads 1, 1
silence_single_worker_warning if respond_to?(:silence_single_worker_warning)

on_worker_boot do |index|
  Thread.new do
    kept = []
    loop do
      batch = Array.new(100) { 'x' * 8000 }
      kept << batch if index == 1
      sleep 0.02
    end
  end
end
